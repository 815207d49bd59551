// needs: dig dnsperf drill nft resperf
/** Containers that ask each other’s names, with dig as the judge; no daemon but this process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from 'dns-packet'
import { jsonText } from '../../lib/config/json.ts'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { type NameRecord, recordToJson } from '../../lib/names/record.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import { KernelError } from '../../lib/netlink/kernel-error.ts'
import type { Nft } from '../../lib/nft/nft.ts'
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
  kernel: Kernel = new LinuxKernel()
  readonly #namespaces: Namespace[] = []
  names = this.#make()

  #make(): Names {
    return new Names({
      host: 'h0',
      registry: new AloneRegistry({ directory: join(this.stateDir, 'registry'), own: NOTHING }),
      stateDir: this.stateDir,
      kernel: this.kernel,
      metrics: new Metrics(),
      log: message => this.logged.push(message),
      isReady: () => false,
      resolvers: () => this.upstreams
    })
  }

  async restart(meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    await this.names.stop()
    await meanwhile()
    this.names = this.#make()
    this.names.start()
  }

  container(): Namespace {
    const namespace = this.bareContainer()
    namespace.run('ip', ['link', 'set', 'lo', 'up'])
    return namespace
  }

  /** Its lo is down. */
  bareContainer(): Namespace {
    const namespace = Namespace.create()
    this.#namespaces.push(namespace)
    return namespace
  }

  write(network: string, containerId: string, record: Partial<NameRecord> & { readonly netns: string }): void {
    mkdirSync(join(this.stateDir, network), { recursive: true })
    const { dev, ino } = statSync(record.netns)
    const plain = {
      names: [],
      addresses: [],
      gateways: [],
      links: [],
      domain: '',
      upstreams: [],
      isInternal: false,
      isCluster: false
    }
    const whole = { ...plain, netnsId: `${dev}:${ino}`, ...record }
    writeFileSync(join(this.stateDir, network, `${containerId}:eth0.dns.json`), jsonText(recordToJson(whole)))
  }

  async add(network: string, containerId: string, record: Parameters<Lab['write']>[2]): Promise<void> {
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

/** What a command inside a container says. It must not block this process, which answers. */
function output(where: Namespace, ...command: readonly string[]): Promise<string> {
  const child = spawn('nsenter', [`--net=${where.path}`, ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return new Promise(resolve => child.on('close', () => resolve(said.trim())))
}

function dig(where: Namespace, ...args: readonly string[]): Promise<string> {
  return output(where, 'dig', '@127.0.0.11', '+time=20', '+tries=1', ...args)
}

async function short(where: Namespace, ...args: readonly string[]): Promise<readonly string[]> {
  const said = await dig(where, '+short', ...args)
  return said === '' ? [] : said.split('\n').sort()
}

/** `NOERROR 0`: the response code and how many answers came with it. */
async function outcome(where: Namespace, ...args: readonly string[]): Promise<string> {
  const said = await dig(where, ...args)
  return `${/status: (\w+)/.exec(said)?.[1]} ${/ANSWER: (\d+)/.exec(said)?.[1]}`
}

/** A program of the container that runs until the test ends it. */
function program(where: Namespace, text: string): ChildProcess {
  return spawn('nsenter', [`--net=${where.path}`, process.execPath, '-e', text], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
}

/** A kernel without nf_tables. */
class PlainKernel extends LinuxKernel {
  override nft(net: Net): Nft {
    const nft = super.nft(net)
    const refuse = (): never => {
      throw new KernelError('list', 'tables', 'EPROTONOSUPPORT', '')
    }
    return Object.assign(Object.create(nft), {
      commit: refuse,
      findElement: refuse,
      findTable: refuse,
      close: () => nft.close()
    })
  }
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
    lab.remove('red', 'c1')
    await lab.names.left({ network: 'red', containerId: 'c1', ifName: 'eth0' }, 1000)
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
    const server = program(a, `require('node:dgram').createSocket('udp4').bind(53, '0.0.0.0')`)
    await until('the server listens', () => a.run('ss', ['-Hlun']).stdout.includes(':53'))
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    assert.equal(await short(a, 'one'), ['10.4.0.2'])
    server.kill('SIGKILL')
  })
})

/** Asks for `one` 50 times a second from one socket, and prints a line for each answer. */
const ASKS_ON = `
const question = Buffer.from('abcd01000001000000000000036f6e650000010001', 'hex')
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', () => console.log('answered')).on('error', () => undefined)
socket.bind(0, () => setInterval(() => socket.send(question, 53, '127.0.0.11', () => undefined), 20))
`

test('who asks from one socket for ever is answered: by a resolver that comes later, restarts, has other ports', async () => {
  await withLab(async lab => {
    const a = lab.container()
    const asker = program(a, ASKS_ON)
    let answers = 0
    asker.stdout?.on('data', chunk => {
      answers += String(chunk).split('\n').length - 1
    })
    const isAnswered = async (when: string): Promise<void> => {
      const before = answers
      await until(when, () => answers > before + 3)
    }
    const ports = (): readonly string[] =>
      (/elements = \{([^}]*)\}/.exec(a.run('nft', ['list', 'table', 'ip', 'patchbay-dns']).stdout)?.[1] ?? '')
        .split(',')
        .map(one => one.trim().split(' ').at(-1) ?? '')
    try {
      await until('it asks', () => a.run('ss', ['-Huan']).stdout.includes('0.0.0.0:'))
      await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
      await isAnswered('it is answered')
      const former = ports()
      assert.is(former.length, 2)
      await lab.restart()
      await isAnswered('it is answered by the next')
      assert.equal(ports(), former)
      let thief: ChildProcess | undefined
      await lab.restart(async () => {
        // Whoever takes the port meanwhile has it.
        const taken = Math.max(...former.map(Number))
        thief = program(
          a,
          `for (const kind of ['dgram', 'net'])
          kind === 'net' ? require('node:net').createServer().listen(${taken}, '127.0.0.11')
                         : require('node:dgram').createSocket('udp4').bind(${taken}, '127.0.0.11')`
        )
        await until('the port is taken', () => a.run('ss', ['-Hltn']).stdout.includes(`127.0.0.11:${taken}`))
      })
      await isAnswered('it is answered at other ports')
      assert.ok(!ports().includes(String(Math.max(...former.map(Number)))))
      thief?.kill('SIGKILL')
      assert.equal(lab.logged, [])
    } finally {
      asker.kill('SIGKILL')
    }
  })
})

test('a question from port 0, which nothing can be answered to, is nobody’s end', async () => {
  await withLab(async lab => {
    const [a, b] = [lab.container(), lab.container()]
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    await lab.add('blue', 'c2', { netns: b.path, names: ['two'], addresses: TWO })
    // As root of the container has it: whatever its programs ask comes from port 0.
    const rules = [
      'table ip own {',
      'chain output {',
      'type filter hook output priority 200',
      'ip daddr 127.0.0.11 meta l4proto udp counter udp sport set 0',
      '}',
      '}'
    ]
    assert.is(a.run('sh', ['-c', `echo '${rules.join('\n')}' | nft -f -`]).status, 0)
    assert.match((await short(a, 'two', '+time=1')).join(), /timed out/)
    assert.match(a.run('nft', ['list', 'table', 'ip', 'own']).stdout, /counter packets [1-9]/)
    assert.equal(await short(b, 'one'), ['10.4.0.2'])
  })
})

test('2,000 TCP connections of a container: the newest are answered, the quietest closed, the others not disturbed', async () => {
  await withLab(async lab => {
    const [a, b] = [lab.container(), lab.container()]
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    await lab.add('blue', 'c2', { netns: b.path, names: ['two'], addresses: TWO })
    const flood = program(
      a,
      `const { connect } = require('node:net')
       let opened = 0
       for (let i = 0; i < 2000; i += 1)
         connect(53, '127.0.0.11').on('connect', () => (opened += 1)).on('error', () => undefined)
       setInterval(() => console.log(opened + ' '), 50)`
    )
    let said = ''
    flood.stdout?.on('data', chunk => {
      said += String(chunk)
    })
    // By the agent's ends: what a busy kernel drops before the agent has accepted it, its client takes for open.
    const held = ['-Htn', 'state', 'established', 'src', '127.0.0.11']
    const count = (): number => a.run('ss', held).stdout.trim().split('\n').length
    await until('all but 32 are closed', () => /^2000 /m.test(said) && count() === 32)
    assert.equal(await short(a, 'two', '+tcp'), ['10.4.0.3'])
    assert.equal(await short(b, 'one', '+tcp'), ['10.4.0.2'])
    flood.kill('SIGKILL')
    assert.equal(lab.logged, [])
  })
})

test('without nf_tables the resolver has port 53; where that is taken, code 50 says so, and it is tried again', async () => {
  const lab = new Lab()
  lab.kernel = new PlainKernel()
  await lab.restart()
  try {
    const [a, b] = [lab.container(), lab.container()]
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    assert.equal(await short(a, 'one'), ['10.4.0.2'])
    assert.equal(await short(a, 'one', '+tcp'), ['10.4.0.2'])
    assert.match(lab.logged.join('\n'), /EPROTONOSUPPORT.*; its resolver has port 53 itself$/)
    const server = program(b, `require('node:dgram').createSocket('udp4').bind(53, '127.0.0.11')`)
    await until('the server listens', () => b.run('ss', ['-Hlun']).stdout.includes(':53'))
    const refused = await lab.add('blue', 'c2', { netns: b.path, names: ['two'], addresses: TWO }).catch(error => error)
    assert.equal([refused.code, /udp port 53: EADDRINUSE/.test(refused.message)], [50, true], refused.message)
    assert.is(lab.logged.length, 3)
    const checked = await lab.names.check({ network: 'blue', containerId: 'c2', ifName: 'eth0' }).catch(error => error)
    assert.is(checked.code, 100)
    // It has its name all the same.
    assert.equal(await short(a, 'two'), ['10.4.0.3'])
    server.kill('SIGKILL')
    await until('it is answered', async () => (await short(b, 'one')).length === 1)
    assert.is(lab.logged.length, 3)
  } finally {
    await lab.close()
  }
})

test('a container whose lo is down is told so, and answered as soon as it is up', async () => {
  await withLab(async lab => {
    const a = lab.bareContainer()
    const refused = await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE }).catch(error => error)
    assert.equal([refused.code, /its lo is down/.test(refused.message)], [50, true], refused.message)
    a.run('ip', ['link', 'set', 'lo', 'up'])
    await until('it is answered', async () => (await short(a, 'one')).join() === '10.4.0.2')
    assert.is(lab.logged.length, 1)
  })
})

test('drill reads the answers as dig does', async () => {
  await withLab(async lab => {
    const a = lab.container()
    await lab.add('blue', 'c1', { netns: a.path, names: ['one', 'web'], addresses: ONE })
    await lab.add('blue', 'c2', { netns: a.path, names: ['two', 'web'], addresses: TWO })
    const drill = (...args: readonly string[]): Promise<string> => output(a, 'drill', ...args)
    const web = await drill('web.blue', '@127.0.0.11', 'AAAA')
    assert.match(web, /rcode: NOERROR/)
    assert.equal([...web.matchAll(/^web\.blue\.\s+5\s+IN\s+AAAA\s+(\S+)$/gm)].map(one => one[1]).sort(), [
      'fd00::2',
      'fd00::3'
    ])
    assert.match(await drill('-t', 'nobody.blue', '@127.0.0.11'), /rcode: NXDOMAIN/)
    assert.match(await drill('-x', '10.4.0.3', '@127.0.0.11'), /PTR\s+two\.blue\.$/m)
  })
})

test('dnsperf: 6,000 questions from 40 sockets, each answered, by UDP and TCP', async () => {
  await withLab(async lab => {
    const a = lab.container()
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    const questions = join(lab.stateDir, 'questions')
    writeFileSync(questions, 'one A\none.blue AAAA\nnobody.blue A\n')
    for (const mode of ['udp', 'tcp']) {
      const load = ['-m', mode, '-s', '127.0.0.11', '-d', questions, '-n', '2000', '-c', '20', '-q', '40', '-t', '60']
      const said = await output(a, 'dnsperf', ...load)
      assert.match(said, /Queries completed: +6000 \(100\.00%\)/, said)
      assert.match(said, /Response codes: +NOERROR 4000 \(66\.67%\), NXDOMAIN 2000 \(33\.33%\)/, said)
    }
  })
})

test('resperf: a rate that rises to 500 a second, each question answered', async () => {
  await withLab(async lab => {
    const a = lab.container()
    await lab.add('blue', 'c1', { netns: a.path, names: ['one'], addresses: ONE })
    const questions = join(lab.stateDir, 'questions')
    writeFileSync(questions, 'one A\none.blue AAAA\nnobody.blue A\n')
    const load = ['-s', '127.0.0.11', '-d', questions, '-R', '-C', '20', '-m', '500', '-r', '2', '-F', '0', '-q', '50']
    const plot = ['-P', join(lab.stateDir, 'plot')]
    const said = await output(a, 'resperf', ...load, ...plot)
    assert.match(said, /Queries sent: +[1-9]\d\d\n.*\n +Queries lost: +0\n/, said)
    assert.match(said, /Response codes: +NOERROR \d+ \(66\.\d+%\), NXDOMAIN \d+ \(33\.\d+%\)/, said)
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
