/** The files of networks over a registry in a directory. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAddress } from '../../lib/ip/address.ts'
import { parsePrefix } from '../../lib/ip/prefix.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import { Metrics } from '../metrics.ts'
import type { Follower, Registry } from '../registry.ts'
import { ConfDir } from './conf-dir.ts'
import { conflistOf } from './conflist.ts'
import { Networks, type NewNetwork } from './networks.ts'

const test = suite('agent/networks')

const SETTINGS = { socket: '/s', stateDir: '/t', underlay: { dev: '', local: '' } }

function wish(name: string, net: number): NewNetwork {
  const [subnet, gateway] = [parsePrefix(`10.${net}.0.0/24`), parseAddress(`10.${net}.0.1`)]
  if (subnet === undefined || gateway === undefined) throw new Error(`no network: ${net}`)
  const ranges = [{ subnet, gateway, span: undefined, exclude: [] }]
  const plain = { internal: false, masquerade: true, encrypted: false, names: true, mtu: undefined, labels: new Map() }
  return { name, ranges, vni: undefined, ...plain }
}

/** A host with its directories. */
class Host {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-networks-'))
  readonly confDir = new ConfDir(join(this.directory, 'net.d'), SETTINGS)
  readonly used = new Set<string>()
  readonly released: string[] = []
  readonly logged: string[] = []
  clash = ''

  start(registry?: Registry): Networks {
    const own = { values: () => new Map(), claims: () => new Map() }
    const networks = new Networks({
      registry: registry ?? new AloneRegistry({ directory: join(this.directory, 'registry'), own }),
      confDir: this.confDir,
      isAlone: registry === undefined,
      isUsed: name => this.used.has(name),
      clashOf: () => this.clash,
      release: name => this.released.push(name),
      compareSeconds: 3600,
      metrics: new Metrics(),
      log: message => this.logged.push(message)
    })
    networks.start()
    return networks
  }

  files(): readonly string[] {
    const path = join(this.directory, 'net.d')
    return existsSync(path) ? readdirSync(path).sort() : []
  }
}

async function onHost(body: (host: Host) => Promise<void>): Promise<void> {
  const host = new Host()
  try {
    await body(host)
  } finally {
    rmSync(host.directory, { recursive: true })
  }
}

test('a network is removed where nobody is on it, and only then what it held is given back', () =>
  onHost(async host => {
    const networks = host.start()
    await networks.create(wish('blue', 61), 5000)
    await networks.create(wish('red', 62), 5000)
    host.used.add('blue')
    for (const name of ['blue', 'red']) await networks.remove(name, 5000)
    assert.equal([host.files(), host.released], [['patchbay-blue.conflist'], ['red']])
    networks.stop()
    // A new agent that finds the file, and nobody on the network any more.
    host.used.clear()
    const next = host.start()
    assert.equal([host.files(), host.released, next.list()], [[], ['red', 'blue'], []])
    next.stop()
  }))

test('a file that was taken away comes back; a clash keeps a network from runtimes, but takes none from them', () =>
  onHost(async host => {
    let networks = host.start()
    const { path } = await networks.create(wish('blue', 61), 5000)
    const text = readFileSync(path, 'utf8')
    networks.stop()
    rmSync(path)
    networks = host.start()
    assert.is(
      readFileSync(path, 'utf8').replace(/"(revision|sha256)": .*/g, ''),
      text.replace(/"(revision|sha256)": .*/g, '')
    )
    host.clash = 'subnet 10.61.0.0/24 overlaps that of eth0'
    const red = await networks.create(wish('red', 62), 5000)
    assert.is(red.problem, host.clash)
    networks.stop()
    networks = host.start()
    assert.equal(host.files(), ['patchbay-blue.conflist'])
    host.clash = ''
    networks.stop()
    host.start().stop()
    assert.equal(host.files(), ['patchbay-blue.conflist', 'patchbay-red.conflist'])
  }))

test('an agent that is alone leaves the files of a cluster as they are', () =>
  onHost(async host => {
    const networks = host.start()
    const { record, path } = await networks.create(wish('blue', 61), 5000)
    networks.stop()
    rmSync(join(host.directory, 'registry'), { recursive: true })
    // As etcd counts.
    const text = conflistOf({ record, revision: 17 }, SETTINGS)
    writeFileSync(path, text)
    const other = host.start()
    assert.is(readFileSync(path, 'utf8'), text)
    assert.equal([other.list(), host.released], [[], []])
    assert.match(host.logged.join(), /"blue" is left out: it is a cluster's, and this agent is alone/)
    other.stop()
  }))

/** A registry that says what it is told to; its transactions are answered when it is told to. */
function scripted() {
  const followers: Follower[] = []
  const asked: { readonly value: string; readonly answer: (revision: number) => void }[] = []
  const unused = (): never => {
    throw new Error('not asked here')
  }
  const registry: Registry = {
    learns: false,
    start: () => undefined,
    stop: async () => undefined,
    trouble: () => '',
    whenReady: async () => undefined,
    follow: (_prefix, follower) => {
      followers.push(follower)
      return { whenSynced: async () => undefined, stop: () => undefined }
    },
    read: async () => ({ entries: [], revision: 1 }),
    share: ([one]) => new Promise(answer => asked.push({ value: one?.value ?? '', answer })),
    put: unused,
    forget: unused,
    forgotten: unused,
    value: unused,
    claim: unused
  }
  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  return {
    registry,
    turn,
    hear: async (name: string, value: string | undefined, revision: number): Promise<void> => {
      for (const one of followers) {
        one.change(name, value, revision)
        one.settled()
      }
      await turn()
    },
    reset: async (revision: number): Promise<void> => {
      for (const one of followers) {
        one.reset([], false, revision)
        one.settled()
      }
      await turn()
    },
    /** The transaction that waits for its answer. */
    next: async () => {
      await turn()
      const one = asked.shift()
      if (one === undefined) throw new Error('no transaction')
      return one
    }
  }
}

test('a network that was removed before the answer to its own transaction came stays removed', () =>
  onHost(async host => {
    const { registry, reset, hear, next, turn } = scripted()
    const networks = host.start(registry)
    await reset(1)
    const making = networks.create(wish('blue', 61), 5000)
    const { value, answer } = await next()
    await hear('blue', value, 2)
    assert.equal(host.files(), ['patchbay-blue.conflist'])
    await hear('blue', undefined, 3)
    answer(2)
    await making
    await turn()
    assert.equal([host.files(), networks.list()], [[], []])
    networks.stop()
  }))

test('a removal counts in a registry that has lost its memory, whatever revisions it had come to before', () =>
  onHost(async host => {
    const { registry, reset, hear, next, turn } = scripted()
    const networks = host.start(registry)
    await reset(49)
    const making = networks.create(wish('blue', 61), 5000)
    ;(await next()).answer(50)
    await making
    // It comes up without its memory, and has the network back.
    await reset(2)
    const { value, answer } = await next()
    answer(3)
    await turn()
    await hear('blue', value, 3)
    assert.equal(host.files(), ['patchbay-blue.conflist'])
    await hear('blue', undefined, 4)
    assert.equal([host.files(), networks.list()], [[], []])
    networks.stop()
  }))

/** Two hosts of one cluster, whose registry is a directory here. */
test('a host that has missed the removal does not bring the network back, after a registry that had lost its memory', () =>
  onHost(host =>
    onHost(async late => {
      const own = { values: () => new Map(), claims: () => new Map() }
      const registry = new AloneRegistry({ directory: join(host.directory, 'shared'), own })
      const networks = host.start(registry)
      const { record } = await networks.create(wish('blue', 61), 5000)
      // It has the file, with a revision of the former history, and has not been told what became of the network since.
      const path = join(late.directory, 'net.d', 'patchbay-blue.conflist')
      mkdirSync(join(late.directory, 'net.d'), { mode: 0o700 })
      writeFileSync(path, conflistOf({ record, revision: Date.now() + 1_000_000 }, SETTINGS))
      await networks.remove('blue', 5000)
      const other = late.start(registry)
      assert.equal(late.files(), ['patchbay-blue.conflist'])
      for (let turn = 0; turn < 20 && late.files().length > 0; turn++) await new Promise(setImmediate)
      assert.equal([(await registry.read('networks/')).entries, late.files(), other.list()], [[], [], []])
      assert.match(late.logged.join(), /"blue": the registry has lost it: it has been removed meanwhile/)
      // One that nobody has removed comes back.
      const red = await networks.create(wish('red', 62), 5000)
      await registry.share([{ key: 'networks/red', value: undefined }], [])
      other.stop()
      writeFileSync(path.replace('blue', 'red'), conflistOf({ ...red, revision: Date.now() + 1_000_000 }, SETTINGS))
      const again = late.start(registry)
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      assert.equal(
        (await registry.read('networks/')).entries.map(one => one.name),
        ['red']
      )
      for (const one of [networks, again]) one.stop()
    })
  ))

test.run()
