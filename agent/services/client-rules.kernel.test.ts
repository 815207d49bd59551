// needs: nft conntrack dig
/** The rules of a client, with nft as the judge and real connections through them. */
import { spawn } from 'node:child_process'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { ask, EchoServer } from '../../lib/testing/echo.ts'
import { hold, serveSilently } from '../../lib/testing/held-connection.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { programFromText } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Switched } from '../../lib/testing/switched.ts'
import type { BalanceTable } from './balance-table.ts'
import { balancedAt, clientTable } from './client-rules.ts'
import { cutGone } from './connections.ts'
import type { Balanced } from './layout.ts'

const test = suite('agent/services, the rules of a client')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}

const VIP = '10.4.0.100'
const VIP6 = 'fd00:4::100'

function web(
  members: readonly string[],
  more: { readonly vip?: IpAddress; readonly isSticky?: boolean } = {}
): Balanced {
  const isSix = members.some(one => one.includes(':'))
  const vip = more.vip ?? address(isSix ? VIP6 : VIP)
  return balancedAt('web', vip, members.map(address), more.isSticky === true)
}

interface Client {
  readonly machine: Namespace
  readonly net: Net
  readonly nft: Nft
  readonly table: BalanceTable
  readonly table6: BalanceTable
}

/** `members` servers, which answer with their number and whom they see, and a client. */
async function inLab(
  members: number,
  body: (client: Client, servers: readonly Namespace[]) => void | Promise<void>
): Promise<void> {
  const lab = new Switched(members + 1)
  const [machine, ...servers] = lab.machines
  if (machine === undefined) throw new Error('no client')
  const kernel = new LinuxKernel()
  const net = kernel.open(machine.path)
  const nft = kernel.nft(net)
  const echoes = servers.map((one, i) => EchoServer.start(one, String(i + 3), ['tcp 80', 'udp 53']))
  try {
    const [table, table6] = [clientTable(nft, 4, 0), clientTable(nft, 6, 0)]
    await body({ machine, net, nft, table, table6 }, servers)
  } finally {
    nft.close()
    net.close()
    for (const echo of echoes) echo.close()
    lab.close()
  }
}

function ruleset(machine: Namespace): string {
  const listed = machine.run('nft', ['list', 'ruleset'])
  assert.is(listed.status, 0, listed.stderr)
  return listed.stdout.replace(/\t/g, '  ')
}

/** Connects so often, one after the other. @returns how often each member answered */
function answersOf(machine: Namespace, host: string, times: number): Readonly<Record<string, number>> {
  const text = `
    import { connect } from 'node:net'
    const counts: Record<string, number> = {}
    for (let i = 0; i < ${times}; i += 1) {
      const answer = await new Promise<string>(resolve => {
        let text = ''
        const socket = connect({ host: '${host}', port: 80 })
        socket.on('data', chunk => (text += String(chunk)))
        socket.on('close', () => resolve(text.split(' ')[0] ?? ''))
        socket.on('error', error => (text = (error as NodeJS.ErrnoException).code ?? 'failed'))
      })
      counts[answer] = (counts[answer] ?? 0) + 1
    }
    console.log(JSON.stringify(counts))`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const { status, stdout, stderr } = machine.run(node, args)
  assert.is(status, 0, stderr)
  return JSON.parse(stdout)
}

test('what nft shows; a change is one of the elements; nothing is left', () =>
  inLab(0, ({ machine, table, table6 }) => {
    table.apply([web(['10.4.0.3', '10.4.0.4'])])
    const shown = ruleset(machine)
    for (const part of [
      'elements = { 10.4.0.100 comment "web" : goto turn-10.4.0.100 }',
      '10.4.0.100 . 0x00000001 : 10.4.0.4 }',
      'set sent {\n    type ipv4_addr . ipv4_addr\n    size 65535\n    flags dynamic\n  }',
      'type nat hook output priority -100; policy accept;\n    ip daddr vmap @services',
      'chain turn-10.4.0.100 {\n    dnat to ip daddr . numgen inc mod 2 map @members-36',
      'ct status dnat add @sent { ct original ip daddr . ip daddr counter }',
      'chain refuse {\n    reject with tcp reset\n    reject\n',
      'ct status dnat add @received { ct original ip daddr . ip saddr counter }'
    ]) {
      assert.ok(shown.includes(part), `${part}\n${shown}`)
    }
    // The first leaves, another comes: the second keeps its place.
    table.apply([web(['10.4.0.4', '10.4.0.9'])])
    assert.match(ruleset(machine), /100 \. 0x00000000 : 10\.4\.0\.9,\s+10\.4\.0\.100 \. 0x00000001 : 10\.4\.0\.4 \}/)
    table.apply([web(['10.4.0.4'])])
    assert.match(ruleset(machine), /elements = \{ 10\.4\.0\.100 \. 0x00000000 : 10\.4\.0\.4 \}/)
    assert.match(ruleset(machine), /numgen inc mod 1 map/)
    table.apply([web([])])
    assert.match(ruleset(machine), /elements = \{ 10\.4\.0\.100 comment "web" : goto refuse \}/)
    assert.not.match(ruleset(machine), /turn-/)
    table6.apply([web(['fd00:4::3'], { isSticky: true })])
    assert.match(ruleset(machine), /dnat to ip6 daddr \. jhash ip6 saddr mod 251 seed 0x1 map @members-0/)
    table.apply([])
    table6.apply([])
    assert.is(ruleset(machine), '')
  }))

test('what an agent before left is made anew or removed; so is what somebody in the container took away', () =>
  inLab(0, ({ machine, nft, table }) => {
    table.apply([web(['10.4.0.3'])])
    const before = ruleset(machine)
    clientTable(nft, 4, 0).apply([web(['10.4.0.3'])])
    assert.is(ruleset(machine), before)
    assert.is(machine.run('nft', ['flush', 'ruleset']).status, 0)
    assert.is(table.repair(), true)
    assert.is(ruleset(machine), before)
    assert.is(table.repair(), false)
    assert.is(
      machine.run('nft', ['delete', 'element', 'ip', 'patchbay-services', 'services', '{ 10.4.0.100 }']).status,
      0
    )
    table.apply([])
    assert.is(ruleset(machine), '')
    clientTable(nft, 4, 0).apply([web(['10.4.0.3'])])
    clientTable(nft, 4, 0).apply([])
    assert.is(ruleset(machine), '')
  }))

test('connections go to the members in turn, both families, TCP and UDP; the source stays; what is sent is counted', () =>
  inLab(3, ({ machine, table, table6 }) => {
    table.apply([web(['10.4.0.3', '10.4.0.4', '10.4.0.5'])])
    table6.apply([web(['fd00:4::3', 'fd00:4::4', 'fd00:4::5'])])
    assert.equal(answersOf(machine, VIP, 30), { 3: 10, 4: 10, 5: 10 })
    assert.equal(answersOf(machine, VIP6, 9), { 3: 3, 4: 3, 5: 3 })
    assert.match(ask(machine, `udp ${VIP} 53`), /^[345] 10\.4\.0\.2$/)
    assert.match(ask(machine, `udp ${VIP6} 53`), /^[345] fd00:4::2$/)
    assert.is(machine.run('ping', ['-c', '1', '-w', '5', VIP]).status, 0)
    for (const { member, sent, received } of table6.traffic('web')) {
      // SYN, ACK, ACK of the answer and its FIN, FIN: at least; and the one datagram.
      assert.ok(sent.packets >= 3 * 4 && received.packets >= 3 * 3, `${formatAddress(member)} ${JSON.stringify(sent)}`)
      assert.ok(sent.bytes >= sent.packets * 60 && sent.bytes < sent.packets * 90, JSON.stringify(sent))
    }
    assert.equal(table.traffic('other'), [])
  }))

/** Of all that is in a set, the keys. */
function keysOf(machine: Namespace, set: string): readonly string[] {
  const shown = machine.run('nft', ['list', 'set', 'ip', 'patchbay-services', set]).stdout
  return [...shown.matchAll(/([0-9.]+ \. [0-9.]+) counter/g)].map(match => match[1] ?? '').sort()
}

test('who is asked is counted, from the first packet to the time when nothing of him is wanted any more', () =>
  inLab(2, ({ machine, net, nft, table }) => {
    const all = ['10.4.0.3', '10.4.0.4', '10.4.0.5']
    table.apply([web(all)])
    assert.equal([table.traffic(), keysOf(machine, 'sent')], [[], []])
    // Turns begin with the first.
    assert.equal(answersOf(machine, VIP, 2), { 3: 1, 4: 1 })
    const keys = ['10.4.0.100 . 10.4.0.3', '10.4.0.100 . 10.4.0.4']
    assert.equal([keysOf(machine, 'sent'), keysOf(machine, 'received')], [keys, keys])
    const counted = table.traffic().map(one => `${one.of.name} . ${formatAddress(one.member)}`)
    assert.equal(counted.toSorted(), keys)
    assert.equal(table.traffic('web').length, 2)
    // What others put there, as many as they like, is neither counted nor waited for.
    const strange = Array.from({ length: 20_000 }, (_, i) => `10.9.${i >> 8}.${i & 255} . 10.4.0.3`).join(', ')
    const put = machine.run('nft', ['-f', '-'], { input: `add element ip patchbay-services sent { ${strange} }` })
    assert.is(put.status, 0, put.stderr)
    assert.ok(table.traffic().length <= 2)
    assert.equal(table.traffic('web').length, 2)
    assert.is(machine.run('nft', ['flush', 'set', 'ip', 'patchbay-services', 'sent']).status, 0)

    table.apply([web(['10.4.0.4'])])
    assert.equal(answersOf(machine, VIP, 1), { 4: 1 })
    const last = cutGone(net, nft, table, () => true)
    assert.equal(
      last.map(one => formatAddress(one.member)),
      ['10.4.0.3']
    )
    assert.equal(keysOf(machine, 'received'), ['10.4.0.100 . 10.4.0.4'])
  }))

test('a source sticks; without its member it goes to another one and all others stay', () =>
  inLab(4, ({ machine, table }) => {
    const all = ['10.4.0.3', '10.4.0.4', '10.4.0.5', '10.4.0.6']
    table.apply([web(all, { isSticky: true })])
    const [[first = '', times] = []] = Object.entries(answersOf(machine, VIP, 10))
    assert.is(times, 10)
    const rest = all.filter(one => one !== `10.4.0.${first}`)
    table.apply([web(rest, { isSticky: true })])
    const [[second = '', again] = []] = Object.entries(answersOf(machine, VIP, 10))
    assert.is(again, 10)
    assert.is.not(second, first)
  }))

test('without members it is refused at once, TCP and UDP, both families', () =>
  inLab(0, ({ machine, table, table6 }) => {
    table.apply([web([])])
    table6.apply([web([], { vip: address(VIP6) })])
    for (const host of [VIP, VIP6]) {
      assert.equal(answersOf(machine, host, 3), { ECONNREFUSED: 3 })
      const sent = machine.run('dig', [`@${host}`, '+time=20', '+tries=1', 'example.org'])
      assert.match(sent.stdout + sent.stderr, /connection refused/)
    }
  }))

/** Sends a datagram from one socket for each line that it is told, and says who answers. */
function datagrams(machine: Namespace, host: string) {
  const text = `
    import { createSocket } from 'node:dgram'
    import { createInterface } from 'node:readline'
    const socket = createSocket('udp4')
    socket.on('message', data => process.stdout.write(String(data).split(' ')[0] + ' '))
    socket.bind(4000, () => {
      createInterface(process.stdin).on('line', () => socket.send('x', 53, '${host}', () => undefined))
      process.stdout.write('ready ')
    })`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const child = spawn('nsenter', [`--net=${machine.path}`, node, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return { child, said: () => said, send: () => child.stdin.write('\n') }
}

test('datagrams of one socket go to one member, and to another as soon as that is gone', () =>
  inLab(2, async ({ machine, net, nft, table }) => {
    table.apply([web(['10.4.0.3', '10.4.0.4'])])
    const { child, said, send } = datagrams(machine, VIP)
    try {
      await until('it is bound', () => said() === 'ready ')
      for (const answers of ['ready 3 ', 'ready 3 3 ']) {
        send()
        await until('an answer', () => said() === answers)
      }
      table.apply([web(['10.4.0.4'])])
      cutGone(net, nft, table, () => true)
      send()
      await until('the other one answers', () => said() === 'ready 3 3 4 ')
    } finally {
      child.kill('SIGKILL')
    }
  }))

function formerOf(table: BalanceTable): readonly string[] {
  return table.former().map(way => formatAddress(way.member))
}

for (const isAfterRestart of [false, true])
  test(`an idle connection to a member that has gone ends at once; that to another one goes on${isAfterRestart ? '; so it is when the agent has ended in between' : ''}`, async () => {
    await inLab(2, async ({ machine, net, nft, table }, servers) => {
      const children = servers.map((one, i) => serveSilently(one, `member${i}`))
      try {
        await until('they listen', () => servers.every(one => /:7000/.test(one.run('ss', ['-ltn']).stdout)))
        table.apply([web(['10.4.0.3', '10.4.0.4'])])
        const held = [hold(machine, VIP), hold(machine, VIP)]
        children.push(...held.map(one => one.child))
        await until('both are connected', () => held.every(one => one.said() !== ''))
        const gone = held.find(one => one.said() === 'member0 ')
        const stays = held.find(one => one.said() === 'member1 ')
        // As a container that dies: nothing says good-bye.
        assert.is(servers[0]?.run('ip', ['link', 'set', 'eth0', 'down']).status, 0)
        table.apply([web(['10.4.0.4'])])
        // For a while it is only out of service, as one whose host is not heard of.
        assert.equal(
          cutGone(net, nft, table, () => false),
          []
        )
        assert.equal(formerOf(table), ['10.4.0.3'])
        assert.is(gone?.child.exitCode, null)
        // An agent that begins anew finds it, too.
        const next = isAfterRestart ? clientTable(nft, 4, 0) : table
        next.apply([web(['10.4.0.4'])])
        assert.equal(formerOf(next), ['10.4.0.3'])
        cutGone(net, nft, next, () => true)
        assert.equal(formerOf(next), [])
        await until('it has ended', () => gone?.child.exitCode === 0)
        assert.is(gone?.said(), 'member0 ECONNABORTED')
        assert.is(stays?.said(), 'member1 ')
        assert.is(stays?.child.exitCode, null)
        const left = machine.run('conntrack', ['-L', '-p', 'tcp']).stdout
        assert.match(left, /src=10\.4\.0\.4/)
        assert.not.match(left, /src=10\.4\.0\.3/)
      } finally {
        for (const child of children) child.kill('SIGKILL')
      }
    })
  })

test.run()
