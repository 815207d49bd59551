/** The executable and an agent beside it; containers ask as programs do, with the resolvers of three C libraries. */
// needs: dig nft busybox
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace, Outcome } from '../../lib/testing/namespace.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/dns, the executable')

const MUSL = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-musl`
const LOOKUP = `
#include <netdb.h>
#include <stdio.h>
int main(int n, char **a) {
  struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM };
  int failed = getaddrinfo(a[1], 0, &hints, &found);
  if (failed) return puts(gai_strerror(failed)), 1;
  for (char text[64]; found; found = found->ai_next)
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST), puts(text);
  return 0;
}`

class Agent {
  readonly socket: string
  readonly #config: string
  readonly #world: World
  #process: ChildProcess | undefined

  constructor(world: World) {
    this.#world = world
    this.socket = join(world.directory, 'agent.sock')
    this.#config = join(world.directory, 'agent.json')
    const stateDir = join(world.directory, 'agent')
    const places = { pluginStateDir: world.stateDir, confDir: stateDir, registryDir: join(stateDir, 'registry') }
    writeFileSync(this.#config, JSON.stringify({ socket: this.socket, stateDir, ...places }))
  }

  async start(): Promise<void> {
    const [node, ...args] = patchbayProgram()
    const all = [`--net=${this.#world.host.path}`, node, ...args, 'agent', '--config', this.#config]
    this.#process = spawn('nsenter', all, { stdio: 'ignore' })
    await until('the agent answers', () => answers(this.socket))
  }

  makeNetwork(name: string, subnet: string): Outcome {
    const [node, ...args] = patchbayProgram()
    const create = ['network', 'create', '-d', 'overlay', '--subnet', subnet, name, '--agent-socket', this.socket]
    return this.#world.host.run(node, [...args, ...create])
  }

  /** Stops it in the middle of whatever it does, until it is told to go on. */
  pause(isPaused: boolean): void {
    this.#process?.kill(isPaused ? 'SIGSTOP' : 'SIGCONT')
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined) return
    const gone = new Promise(resolve => running.once('exit', resolve))
    running.kill('SIGKILL')
    await gone
  }
}

function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const connection = connect(socket)
    connection.on('error', () => resolve(false))
    connection.on('connect', () => {
      connection.destroy()
      resolve(true)
    })
  })
}

function config(world: World, index: number, more: object = {}): object {
  const interfaces = [{ name: 'eth0', sandbox: world.container(index).path }]
  const ips = [`10.4.0.${index + 2}/24`, `fd00::${index + 2}/64`].map(address => ({ address, interface: 0 }))
  return {
    cniVersion: '1.1.0',
    name: 'blue',
    type: 'dns',
    stateDir: world.stateDir,
    registry: { socket: join(world.directory, 'agent.sock'), timeout: 60 },
    internal: true,
    prevResult: { cniVersion: '1.1.0', interfaces, ips, dns: { search: ['example.org'] } },
    ...more
  }
}

function files(world: World): readonly string[] {
  if (!existsSync(world.stateDir)) return []
  const all = readdirSync(world.stateDir, { recursive: true, encoding: 'utf8' })
  // The agent's own place.
  return all.filter(one => !one.startsWith('.names')).sort()
}

/** Runs a program in a container that has the resolv.conf that a runtime would write. */
function ask(world: World, where: Namespace, ...command: readonly string[]): string {
  const file = join(world.directory, 'resolv.conf')
  writeFileSync(file, 'nameserver 127.0.0.11\nsearch blue\noptions timeout:2 attempts:1\n')
  const script = `mount --bind ${file} /etc/resolv.conf && exec "$@"`
  const { stdout } = where.run('unshare', ['-m', 'sh', '-c', script, 'sh', ...command])
  return stdout
}

test('without an agent: what is written down, what is said, DEL by ids alone, STATUS', async () => {
  await inWorld(1, world => {
    const args = 'IgnoreUnknown=1;K8S_POD_NAME=ubuntu2'
    const reply = world.call('dns', 'ADD', config(world, 0, { runtimeConfig: { aliases: ['web'] } }), { args })
    assert.is(reply.status, 0, reply.stdout)
    assert.equal(reply.json.dns, { nameservers: ['127.0.0.11'], search: ['example.org'], options: ['ndots:0'] })
    assert.match(reply.stderr, /^dns: reach the agent: .* answered as soon as it runs\n$/)
    const [, file = ''] = files(world)
    const { names, addresses, internal } = JSON.parse(readFileSync(join(world.stateDir, file), 'utf8'))
    assert.equal([names.slice(0, 2), addresses, internal], [['ubuntu2', 'web'], ['10.4.0.2', 'fd00::2'], true])
    assert.is(world.call('dns', 'STATUS', config(world, 0)).json.code, 50)
    assert.is(
      world.call('dns', 'DEL', config(world, 0, { prevResult: undefined, internal: 7 }), { netns: '' }).status,
      0
    )
    assert.equal(files(world), [])
  })
})

test('glibc, musl and busybox find each other both ways; an agent that is killed and started again answers all', async () => {
  await inWorld(2, async world => {
    const agent = new Agent(world)
    await agent.start()
    try {
      // What was written for several hosts is not one host's alone, unless it was made there.
      const foreign = [
        world.call('dns', 'ADD', config(world, 0), { container: world.container(0), containerId: 'c0' }),
        world.call('dns', 'STATUS', config(world, 0))
      ].map(({ json }) => [json.code, json.msg])
      assert.equal(foreign, [
        [50, 'reach the registry of network "blue": the agent has none'],
        [51, 'reach the registry: the agent has none']
      ])
      assert.equal(files(world), [])
      const made = agent.makeNetwork('blue', '10.4.0.0/16')
      assert.is(made.status, 0, made.stderr)
      assert.is(world.call('dns', 'STATUS', config(world, 0)).status, 0)
      for (const index of [0, 1]) {
        // glibc asks for no family that the container has no address of.
        for (const address of [`10.4.0.${index + 2}/32`, `fd00::${index + 2}/128`]) {
          assert.is(world.container(index).run('ip', ['address', 'add', address, 'dev', 'lo']).status, 0)
        }
        const args = `IgnoreUnknown=1;K8S_POD_NAME=ubuntu${index + 2}`
        const options = { args, container: world.container(index), containerId: `c${index}` }
        const reply = world.call('dns', 'ADD', config(world, index), options)
        assert.equal([reply.status, reply.stderr], [0, ''], reply.stdout)
        assert.is(world.call('dns', 'CHECK', config(world, index), options).status, 0)
      }
      const [one, two] = [world.container(0), world.container(1)]
      assert.match(ask(world, one, 'getent', 'ahostsv4', 'ubuntu3'), /^10\.4\.0\.3 +STREAM ubuntu3/)
      assert.match(ask(world, two, 'getent', 'ahostsv6', 'ubuntu2.blue'), /^fd00::2 /)
      assert.match(ask(world, two, 'getent', 'hosts', '10.4.0.2'), /^10\.4\.0\.2 +ubuntu2\.blue/)
      assert.match(ask(world, two, 'busybox', 'nslookup', 'ubuntu2'), /Address:? ?\d?:? 10\.4\.0\.2/)
      assert.is(ask(world, two, 'getent', 'ahosts', 'nobody'), '')
      const program = buildLookup(world)
      if (program !== '')
        assert.equal(ask(world, two, program, 'ubuntu2').trim().split('\n').sort(), ['10.4.0.2', 'fd00::2'])
      await agent.kill()
      assert.is(ask(world, two, 'getent', 'ahosts', 'ubuntu2'), '')
      await agent.start()
      assert.match(ask(world, two, 'getent', 'ahostsv4', 'ubuntu2'), /^10\.4\.0\.2 /)
      assert.is(world.call('dns', 'DEL', config(world, 0), { containerId: 'c0', netns: '' }).status, 0)
      assert.is(ask(world, two, 'getent', 'ahosts', 'ubuntu2'), '')
      assert.is(one.run('nft', ['list', 'tables']).stdout, '')
    } finally {
      await agent.kill()
    }
  })
})

/** A network that is this host's alone. */
function own(world: World, index: number, more: object = {}): object {
  const agent = { socket: join(world.directory, 'agent.sock'), timeout: 60 }
  return config(world, index, { registry: undefined, agent, ...more })
}

/** Where port 53 of the container's resolver leads, by UDP and TCP; '' where there are no rules. */
function led(where: Namespace): string {
  const said = where.run('nft', ['list', 'table', 'ip', 'patchbay-dns']).stdout
  const ends = [...said.matchAll(/(udp|tcp) \. 53 : 127\.0\.0\.11 \. (\d+)/g)].map(match => `${match[1]} ${match[2]}`)
  return ends.sort().join(', ')
}

function address(world: World, where: Namespace, name: string, ...more: readonly string[]): string {
  return ask(world, where, 'dig', '+short', '+time=5', ...more, name).trim()
}

/** The same, not waited for. */
function later(where: Namespace, name: string, transport: string): Promise<string> {
  const all = [`--net=${where.path}`, 'dig', '@127.0.0.11', '+short', '+time=60', '+tries=1', transport, name]
  const child = spawn('nsenter', all, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return new Promise(resolve => child.on('close', () => resolve(said.trim())))
}

function udpSockets(where: Namespace): string {
  return where.run('ss', ['-Hanu', 'src', '127.0.0.11']).stdout
}

const USUAL = 'tcp 61053, udp 61053'
const [BLUE, RED] = [{ containerId: 'c0' }, { containerId: 'c0', ifName: 'eth1' }]

/** Container cN, called boxN. */
function addBox(world: World, index: number): void {
  const container = world.container(index)
  const options = { container, containerId: `c${index}`, args: `K8S_POD_NAME=box${index}` }
  const reply = world.call('dns', 'ADD', own(world, index), options)
  assert.equal([reply.status, reply.stderr], [0, ''], reply.stdout)
}

test('an answer as soon as ADD returns; two networks of one container; rules go with the last, also without an agent', async () => {
  await inWorld(2, async world => {
    const [one, two] = [world.container(0), world.container(1)]
    const agent = new Agent(world)
    await agent.start()
    try {
      for (const index of [0, 1]) {
        addBox(world, index)
        for (const transport of ['+notcp', '+tcp'])
          assert.is(address(world, world.container(index), `box${index}`, transport), `10.4.0.${index + 2}`)
      }
      assert.is(address(world, one, 'box1'), '10.4.0.3')
      assert.is(led(one), USUAL)
      const interfaces = [{ name: 'eth1', sandbox: one.path }]
      const prevResult = { cniVersion: '1.1.0', interfaces, ips: [{ address: '10.5.0.9/24', interface: 0 }] }
      const red = own(world, 0, { name: 'red', prevResult })
      assert.is(world.call('dns', 'ADD', red, { ...RED, args: 'K8S_POD_NAME=other' }).status, 0)
      assert.equal([address(world, one, 'other'), address(world, one, 'box1')], ['10.5.0.9', '10.4.0.3'])
      assert.is(world.call('dns', 'DEL', red, RED).status, 0)
      assert.equal([address(world, one, 'other'), address(world, one, 'box1')], ['', '10.4.0.3'])
      assert.is(led(one), USUAL)
      await agent.kill()
      assert.is(world.call('dns', 'DEL', own(world, 0), BLUE).status, 0)
      assert.equal([led(one), led(two)], ['', USUAL])
    } finally {
      await agent.kill()
    }
  })
})

test('ADD does not wait for an agent that is busy: what is asked meanwhile is answered later', async () => {
  await inWorld(2, async world => {
    const [one, two] = [world.container(0), world.container(1)]
    const agent = new Agent(world)
    await agent.start()
    try {
      await until('sockets are taken', () => existsSync(join(world.stateDir, '.names', 'handover')))
      addBox(world, 1)
      agent.pause(true)
      addBox(world, 0)
      assert.is(led(one), USUAL)
      const asking = [
        [one, '+notcp', 'box1'],
        [one, '+tcp', 'box0'],
        [two, '+notcp', 'box0']
      ] as const
      const answers = asking.map(([where, transport, name]) => later(where, name, transport))
      await until('questions wait', () => asking.every(([where]) => /^UNCONN +[1-9]/m.test(udpSockets(where))))
      agent.pause(false)
      assert.equal(await Promise.all(answers), ['10.4.0.3', '10.4.0.2', '10.4.0.2'])
    } finally {
      await agent.kill()
    }
  })
})

/** Asks as a resolver of a C library does: again where nobody answers or the question is refused, each time from a fresh socket. */
const CLIENT = `
const { createSocket } = require('node:dgram')
const question = id => Buffer.concat([Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4]), Buffer.from('box1'),
  Buffer.from([0, 0, 1, 0, 1])])
const counts = { asked: 0, answered: 0, wrong: 0 }
let isEnding = false
function ask() {
  if (isEnding) return counts.asked === counts.answered && process.exit(console.log(JSON.stringify(counts)) ?? 0)
  const id = (counts.asked += 1) & 65535
  repeat(id)
}
function repeat(id) {
  const socket = createSocket('udp4')
  const again = () => {
    clearTimeout(timer)
    socket.close()
    console.log('again')
    setTimeout(() => repeat(id), 20)
  }
  const timer = setTimeout(again, 5000)
  socket.on('error', again)
  socket.on('message', answer => {
    clearTimeout(timer)
    socket.close()
    counts.answered += 1
    const isRight = answer.readUInt16BE(0) === id && answer.readUInt16BE(2) === 0x8580 && answer.readUInt16BE(6) === 1
    if (!isRight || [...answer.subarray(-4)].join('.') !== '10.4.0.3') counts.wrong += 1
    if (counts.answered % 100 === 0) console.log('answered ' + counts.answered)
    ask()
  })
  socket.connect(53, '127.0.0.11', () => socket.send(question(id)))
}
process.stdin.on('data', () => { isEnding = true })
for (let i = 0; i < 8; i += 1) ask()
`

test('an agent that is killed under load and started again: who asks again is answered, and nobody wrongly', async () => {
  await inWorld(2, async world => {
    const agent = new Agent(world)
    await agent.start()
    for (const index of [0, 1]) addBox(world, index)
    const client = spawn('nsenter', [`--net=${world.container(0).path}`, process.execPath, '-e', CLIENT])
    let said = ''
    client.stdout.on('data', chunk => {
      said += String(chunk)
    })
    try {
      for (let round = 0; round < 3; round += 1) {
        const before = said.length
        await until('questions are answered', () => said.length > before + 'answered 1000\n'.length)
        await agent.kill()
        const gone = said.length
        await until('somebody asks in vain', () => said.includes('again', gone))
        await agent.start()
      }
      const ended = new Promise(resolve => client.once('close', resolve))
      client.stdin.write('end')
      await ended
      const { asked, answered, wrong } = JSON.parse(said.trim().split('\n').at(-1) ?? '')
      assert.equal([answered, wrong], [asked, 0])
    } finally {
      client.kill('SIGKILL')
      await agent.kill()
    }
  })
})

test('where the container has the usual port, or rules of that name lead elsewhere, it is answered all the same', async () => {
  await inWorld(2, async world => {
    const [taken, foreign] = [world.container(0), world.container(1)]
    const agent = new Agent(world)
    await agent.start()
    const text = "require('node:dgram').createSocket('udp4').bind(61053, () => console.log('bound'))"
    taken.run('ip', ['link', 'set', 'lo', 'up'])
    const server = spawn('nsenter', [`--net=${taken.path}`, process.execPath, '-e', text])
    try {
      await new Promise(resolve => server.stdout.once('data', resolve))
      const field = 'ipv4_addr . inet_proto . inet_service'
      const elements = ['udp', 'tcp'].map(one => `127.0.0.11 . ${one} . 53 : 127.0.0.11 . 9`).join(', ')
      const map = `add map ip patchbay-dns resolver { type ${field} : ipv4_addr . inet_service; elements = { ${elements} }; }`
      const made = foreign.run('nft', [`add table ip patchbay-dns; ${map}`])
      assert.is(made.status, 0, made.stderr)
      for (const index of [0, 1]) {
        addBox(world, index)
        for (const transport of ['+notcp', '+tcp'])
          assert.is(address(world, world.container(index), 'box0', transport), '10.4.0.2')
      }
      assert.match(led(taken), /^tcp \d+, udp \d+$/)
      assert.is.not(led(taken), USUAL)
    } finally {
      server.kill('SIGKILL')
      await agent.kill()
    }
  })
})

/** A program with musl's resolver; '' where there is no compiler. */
function buildLookup(world: World): string {
  const program = join(world.directory, 'lookup')
  writeFileSync(`${program}.c`, LOOKUP)
  const parts = ['crt1.o', 'crti.o', 'libc.a', 'crtn.o'].map(name => join(MUSL, name))
  const [first = '', second = '', library = '', last = ''] = parts
  const include = ['-nostdinc', '-isystem', `/usr/include/${MUSL.slice('/usr/lib/'.length)}`]
  const link = ['-static', '-nostdlib', first, second, `${program}.c`, library, last, '-o', program]
  const clang = ['clang-19', 'clang', 'gcc'].find(name => spawnSync(name, ['--version']).status === 0)
  if (clang === undefined) return ''
  const built = spawnSync(clang, [...include, ...link], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`build a program with musl: ${built.stderr}`)
  return program
}

test.run()
