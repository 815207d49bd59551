// needs: dig
/** Resolvers that are handed over, as the plugin does it, in this process. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonText } from '../../lib/config/json.ts'
import { parseAddress } from '../../lib/ip/address.ts'
import { recordToJson } from '../../lib/names/record.ts'
import { findTaker, ResolverSockets } from '../../lib/names/resolver-sockets.ts'
import { translate, USUAL_PORTS } from '../../lib/names/translation.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import { NetnsError } from '../../lib/sys/netns.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { Namespace } from '../../lib/testing/namespace.ts'
import { assert, rejectsLike, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import { Metrics } from '../metrics.ts'
import { Names } from './names.ts'

const test = suite('agent/names, handed over')

/** A process that has no descriptors left now and then. */
class ShortKernel extends LinuxKernel {
  isShort = false

  override find(path: string): Net | undefined {
    if (this.isShort) throw new NetnsError(path, 'unreadable', 'EMFILE')
    return super.find(path)
  }
}

const kernel = new ShortKernel()

class Lab {
  readonly stateDir = mkdtempSync(join(tmpdir(), 'patchbay-handover-'))
  readonly logged: string[] = []
  isReady = true
  readonly names: Names
  readonly #namespaces: Namespace[] = []

  /** @param patience how long the agent waits for what is handed over, ms */
  constructor(patience: number) {
    this.names = new Names({
      host: 'h0',
      registry: new AloneRegistry({
        directory: join(this.stateDir, 'registry'),
        own: { values: () => new Map(), claims: () => new Map() }
      }),
      stateDir: this.stateDir,
      kernel,
      metrics: new Metrics(),
      log: message => this.logged.push(message),
      isReady: () => this.isReady,
      handoverMilliseconds: patience,
      resolvers: () => []
    })
  }

  container(): Namespace {
    const namespace = Namespace.create()
    this.#namespaces.push(namespace)
    namespace.run('ip', ['link', 'set', 'lo', 'up'])
    return namespace
  }

  write(containerId: string, netns: string): void {
    const address = parseAddress('10.4.0.2')
    const record = {
      ...{ netns, netnsId: idOf(netns), names: [containerId], addresses: address === undefined ? [] : [address] },
      ...{ gateways: [], links: [], domain: '', upstreams: [], isInternal: true, isCluster: false }
    }
    mkdirSync(join(this.stateDir, 'blue'), { recursive: true })
    writeFileSync(join(this.stateDir, 'blue', `${containerId}:eth0.dns.json`), jsonText(recordToJson(record)))
  }

  /** As the plugin does. @returns false where the agent is to be asked */
  handOver(containerId: string, netns: string): boolean {
    const taker = findTaker(this.stateDir, 'blue')
    if (taker === undefined) return false
    const net = kernel.open(netns)
    const nft = kernel.nft(net)
    const sockets = new ResolverSockets(net.namespaceFd())
    try {
      translate(nft, USUAL_PORTS, undefined)
      const about = { network: 'blue', containerId, ifName: 'eth0', netns, netnsId: idOf(netns) }
      sockets.handTo(taker, about)
      return true
    } finally {
      sockets.close()
      nft.close()
      net.close()
      taker.close()
    }
  }

  async close(): Promise<void> {
    await this.names.stop()
    for (const namespace of this.#namespaces) namespace.close()
    rmSync(this.stateDir, { recursive: true, force: true })
  }
}

function idOf(netns: string): string {
  const { dev, ino } = statSync(netns)
  return `${dev}:${ino}`
}

/** This process answers, and must not be blocked. */
function dig(where: Namespace, ...args: readonly string[]): Promise<string> {
  const all = [`--net=${where.path}`, 'dig', '@127.0.0.11', '+time=20', '+tries=1', '+short', ...args]
  const child = spawn('nsenter', all, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return new Promise(resolve => child.on('close', () => resolve(said.trim())))
}

async function withLab(body: (lab: Lab) => Promise<void>, patience = 600_000): Promise<void> {
  const lab = new Lab(patience)
  try {
    lab.names.start()
    await until('sockets are taken', () => isOpen(lab))
    await body(lab)
    assert.equal(lab.logged, [])
  } finally {
    await lab.close()
  }
}

function isOpen(lab: Lab): boolean {
  return existsSync(join(lab.stateDir, '.names', 'handover'))
}

test('both transports are answered at sockets that were handed over, and the name is known to others at once', async () => {
  await withLab(async lab => {
    const [one, two] = [lab.container(), lab.container()]
    lab.write('c1', one.path)
    // The file alone opens no resolver, whose ports the plugin is about to have.
    await until('the name is known', () => lab.names.zone.size === 1)
    assert.is(one.run('ss', ['-Hlun']).stdout, '')
    assert.ok(lab.handOver('c1', one.path))
    assert.equal([await dig(one, 'c1'), await dig(one, '+tcp', 'c1')], ['10.4.0.2', '10.4.0.2'])
    // Nobody is called so, which is remembered; it is asked again in the same turn in which the next one is handed over.
    assert.is(await dig(one, 'c2'), '')
    lab.write('c2', two.path)
    assert.ok(lab.handOver('c2', two.path))
    assert.is(await dig(one, 'c2'), '10.4.0.2')
    const attachment = { network: 'blue', containerId: 'c1', ifName: 'eth0' }
    await lab.names.check(attachment)
    one.run('nft', ['flush', 'ruleset'])
    await rejectsLike(() => lab.names.check(attachment), {
      message: /port 53 of 127\.0\.0\.11 does not lead to the resolver/
    })
    // Who has a resolver is not given another: it is asked for.
    assert.throws(() => lab.handOver('c2', two.path), /EADDRINUSE/)
  })
})

test('a plugin that is killed before it hands over: the agent opens the resolver itself', async () => {
  await withLab(async lab => {
    const one = lab.container()
    lab.write('c1', one.path)
    await until('the agent listens', () => one.run('ss', ['-Hlun']).stdout.includes('127.0.0.11:61053'))
    assert.is(await dig(one, 'c1'), '10.4.0.2')
  }, 1)
})

test('an agent that is out of descriptors says so once, and answers when it has some', async () => {
  await withLab(async lab => {
    const one = lab.container()
    kernel.isShort = true
    try {
      lab.write('c1', one.path)
      await until('it is told', () => lab.logged.length > 0)
      await lab.names.left({ network: 'blue', containerId: 'c1', ifName: 'eth0' }, 0)
    } finally {
      kernel.isShort = false
    }
    await until('the agent listens', () => one.run('ss', ['-Hlun']).stdout.includes('127.0.0.11:61053'))
    assert.is(await dig(one, 'c1'), '10.4.0.2')
    assert.equal(lab.logged.splice(0), [`enter "${one.path}": open network namespace "${one.path}": EMFILE`])
  }, 1)
})

test('what is handed over for nobody is closed, and its rules go', async () => {
  await withLab(async lab => {
    const one = lab.container()
    assert.ok(lab.handOver('nobody', one.path))
    await until('nobody listens', () => one.run('ss', ['-Hlun']).stdout === '')
    assert.is(one.run('nft', ['list', 'tables']).stdout, '')
  })
})

test('a plugin of a network with services waits, and everybody does until they are known', async () => {
  await withLab(async lab => {
    const waiting = (): readonly string[] => readdirSync(join(lab.stateDir, '.names', 'waiting'))
    const { zone } = lab.names
    zone.setService('blue', 'web', { alias: 'web', addresses: [] })
    zone.setService('blue', 'db', { alias: 'db', addresses: [] })
    assert.equal(waiting(), ['blue'])
    assert.is(findTaker(lab.stateDir, 'blue'), undefined)
    const other = findTaker(lab.stateDir, 'red')
    assert.ok(other !== undefined)
    other?.close()
    zone.deleteService('blue', 'web')
    assert.equal(waiting(), ['blue'])
    zone.deleteService('blue', 'db')
    assert.equal(waiting(), [])
  })
  const unready = new Lab(0)
  unready.isReady = false
  try {
    unready.names.start()
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.is(findTaker(unready.stateDir, 'blue'), undefined)
    unready.isReady = true
    await until('sockets are taken', () => isOpen(unready))
  } finally {
    await unready.close()
  }
  assert.ok(!existsSync(join(unready.stateDir, '.names')))
})

test.run()
