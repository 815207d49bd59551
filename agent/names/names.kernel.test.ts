// needs: dig nft
/** Containers that ask each other’s names, with dig as the judge; no daemon but this process. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from 'dns-packet'
import { jsonText } from '../../lib/config/json.ts'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { type NameRecord, recordToJson } from '../../lib/names/record.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { Namespace } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import { Metrics } from '../metrics.ts'
import { Names } from './names.ts'
import type { Upstream } from './upstream.ts'

const test = suite('agent/names')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}

const NOTHING = { values: () => new Map(), claims: () => new Map() }

/** A state directory as the plugin fills it, and the agent's part beside it. */
class Lab {
  readonly stateDir = mkdtempSync(join(tmpdir(), 'patchbay-names-'))
  readonly logged: string[] = []
  upstreams: readonly Upstream[] = []
  readonly #namespaces: Namespace[] = []
  names = this.#make()

  #make(): Names {
    return new Names({
      host: 'h0',
      registry: new AloneRegistry({ directory: join(this.stateDir, 'registry'), own: NOTHING }),
      stateDir: this.stateDir,
      kernel: new LinuxKernel(),
      metrics: new Metrics(),
      log: message => this.logged.push(message),
      resolvers: () => this.upstreams
    })
  }

  async restart(): Promise<void> {
    await this.names.stop()
    this.names = this.#make()
    this.names.start()
  }

  container(): Namespace {
    const namespace = Namespace.create()
    this.#namespaces.push(namespace)
    namespace.run('ip', ['link', 'set', 'lo', 'up'])
    return namespace
  }

  write(network: string, containerId: string, record: Partial<NameRecord> & { readonly netns: string }): void {
    mkdirSync(join(this.stateDir, network), { recursive: true })
    const { dev, ino } = statSync(record.netns)
    const plain = {
      names: [],
      addresses: [],
      links: [],
      domain: '',
      upstreams: [],
      isInternal: false,
      isCluster: false
    }
    const whole = { ...plain, netnsId: `${dev}:${ino}`, ...record }
    writeFileSync(join(this.stateDir, network, `${containerId}:eth0.dns.json`), jsonText(recordToJson(whole)))
  }

  async add(
    network: string,
    containerId: string,
    record: Partial<NameRecord> & { readonly netns: string }
  ): Promise<void> {
    this.write(network, containerId, record)
    await this.names.arrived({ network, containerId, ifName: 'eth0' }, 2000)
  }

  remove(network: string, containerId: string): void {
    rmSync(join(this.stateDir, network, `${containerId}:eth0.dns.json`))
  }

  async close(): Promise<void> {
    await this.names.stop()
    for (const namespace of this.#namespaces) namespace.close()
    rmSync(this.stateDir, { recursive: true, force: true })
  }
}

async function withLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = new Lab()
  try {
    lab.names.start()
    await body(lab)
  } finally {
    await lab.close()
  }
}

/** dig inside a container. It must not block this process, which answers. */
function dig(where: Namespace, ...args: readonly string[]): Promise<string> {
  const child = spawn('nsenter', [`--net=${where.path}`, 'dig', '@127.0.0.11', '+time=2', '+tries=1', ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.on('data', chunk => {
    output += String(chunk)
  })
  return new Promise(resolve => child.on('close', () => resolve(output.trim())))
}

async function short(where: Namespace, ...args: readonly string[]): Promise<readonly string[]> {
  const output = await dig(where, '+short', ...args)
  return output === '' ? [] : output.split('\n').sort()
}

/** `NOERROR 0`: the response code and how many answers came with it. */
async function outcome(where: Namespace, ...args: readonly string[]): Promise<string> {
  const output = await dig(where, ...args)
  return `${/status: (\w+)/.exec(output)?.[1]} ${/ANSWER: (\d+)/.exec(output)?.[1]}`
}

const ONE = ['10.4.0.2', 'fd00::2'].map(address)
const TWO = ['10.4.0.3', 'fd00::3'].map(address)

test('two containers of a network find each other, both ways, by UDP and TCP; NODATA is not NXDOMAIN', async () => {
  await withLab(async lab => {
    const [a, b] = [lab.container(), lab.container()]
    await lab.add('blue', 'c1', { netns: a.path, names: ['ubuntu2', 'web'], addresses: ONE })
    await lab.add('blue', 'c2', { netns: b.path, names: ['ubuntu3', 'web'], addresses: TWO.slice(0, 1) })
    assert.equal(await short(b, 'ubuntu2'), ['10.4.0.2'])
    assert.equal(await short(a, 'Ubuntu3.blue.'), ['10.4.0.3'])
    assert.equal(await short(a, 'ubuntu3', '+tcp'), ['10.4.0.3'])
    assert.equal(await short(b, 'AAAA', 'ubuntu2'), ['fd00::2'])
    assert.equal(await short(a, 'web'), ['10.4.0.2', '10.4.0.3'])
    assert.equal(await short(a, 'tasks.web'), ['10.4.0.2', '10.4.0.3'])
    assert.equal(await short(a, '-x', '10.4.0.3'), ['ubuntu3.blue.'])
    assert.equal(await short(a, '-x', 'fd00::2'), ['ubuntu2.blue.'])
    assert.is(await outcome(a, 'AAAA', 'ubuntu3'), 'NOERROR 0')
    assert.is(await outcome(a, 'nobody.blue'), 'NXDOMAIN 0')
    assert.is(await outcome(a, 'ANY', 'ubuntu3', '+notcp'), 'REFUSED 0')
    assert.equal(lab.logged, [])
  })
})

test('names of networks that a container is not on are not told; it hears of those it joins', async () => {
  await withLab(async lab => {
    const [a, b] = [lab.container(), lab.container()]
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE, isInternal: true })
    await lab.add('red', 'c2', { netns: b.path, names: ['two'], addresses: TWO })
    assert.is(await outcome(a, 'two'), 'NXDOMAIN 0')
    assert.is(await outcome(a, 'two.red'), 'NXDOMAIN 0')
    await lab.add('red', 'c1', { netns: a.path, names: ['one'], addresses: [address('10.5.0.9')] })
    assert.equal(await short(a, 'two'), ['10.4.0.3'])
    assert.equal(await short(b, 'one'), ['10.5.0.9'])
    lab.names.left({ network: 'red', containerId: 'c1', ifName: 'eth0' })
    lab.remove('red', 'c1')
    assert.is(await outcome(a, 'two.red'), 'NXDOMAIN 0')
  })
})

test('a file is enough, and its removal; a namespace that died takes its names with it; a new agent finds all', async () => {
  await withLab(async lab => {
    const [a, b] = [lab.container(), lab.container()]
    lab.write('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE, isInternal: true })
    lab.write('blue', 'c2', { netns: b.path, names: ['two'], addresses: TWO, isInternal: true })
    await until('the files are seen', () => lab.names.zone.size === 2)
    assert.equal(await short(a, 'two'), ['10.4.0.3'])
    await lab.restart()
    assert.equal(await short(a, 'two'), ['10.4.0.3'])
    assert.equal(await short(a, 'two', '+tcp'), ['10.4.0.3'])
    b.close()
    await until('the names are gone', () => lab.names.zone.size === 1)
    assert.is(await outcome(a, 'two'), 'NXDOMAIN 0')
    lab.remove('blue', 'c1')
    await until('the last is gone', () => lab.names.zone.size === 0)
    await until('its rules are gone', () => a.run('nft', ['list', 'tables']).stdout === '')
    assert.equal(lab.logged, [])
  })
})

test('a container’s own server at port 53 stands beside the resolver', async () => {
  await withLab(async lab => {
    const a = lab.container()
    const server = spawn('nsenter', [
      `--net=${a.path}`,
      process.execPath,
      '-e',
      `require('node:dgram').createSocket('udp4').bind(53, '0.0.0.0')`
    ])
    await until('the server listens', () => a.run('ss', ['-Hlun']).stdout.includes(':53'))
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    assert.equal(await short(a, 'one'), ['10.4.0.2'])
    server.kill('SIGKILL')
  })
})

test('other names are asked of the host’s resolvers; forged answers and a dead first one are passed over', async () => {
  const upstream = createSocket('udp4')
  upstream.on('message', (message, from) => {
    const { id, questions = [] } = decode(message)
    const name = questions[0]?.name ?? ''
    const answer = (number: number, data: string) =>
      encode({ type: 'response', id: number, flags: 0x180, questions, answers: [{ type: 'A', name, ttl: 60, data }] })
    upstream.send(answer(((id ?? 0) + 1) & 0xffff, '203.0.113.66'), from.port, from.address)
    upstream.send(answer(id ?? 0, '203.0.113.5'), from.port, from.address)
  })
  const asked = new Promise<void>(resolve => upstream.bind(0, '127.0.0.1', resolve))
  await asked
  try {
    await withLab(async lab => {
      const [a, closed] = [lab.container(), lab.container()]
      await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
      await lab.add('grey', 'c2', { netns: closed.path, names: ['two'], addresses: TWO, isInternal: true })
      assert.is(await outcome(a, 'example.org'), 'SERVFAIL 0')
      const { port } = upstream.address()
      // Nobody listens at the first: the kernel says so at once.
      lab.upstreams = [
        { address: address('127.0.0.1'), port: 1 },
        { address: address('127.0.0.1'), port }
      ]
      assert.equal(await short(a, 'example.org'), ['203.0.113.5'])
      assert.is(await outcome(closed, 'example.org'), 'NXDOMAIN 0')
    })
  } finally {
    upstream.close()
  }
})

test.run()
