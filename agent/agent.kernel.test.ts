/** Hosts as namespaces, each with an agent of its own, on a real etcd; plugins are called as a runtime would call them. */
// needs: bridge ping tcpdump etcd etcdctl
// time-out: 240 s
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EtcdCluster } from '../lib/testing/etcd-cluster.ts'
import { LabAgent, until } from '../lib/testing/lab-agent.ts'
import type { Namespace } from '../lib/testing/namespace.ts'
import { inLab, type LabHost, type LabReply, type OverlayLab, ok, pings } from '../lib/testing/overlay-lab.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, on the kernel and etcd')

const ROOT = join(import.meta.dirname, '..')
/** The plugins as built; the engine does not matter here. */
const BIN_DIR =
  process.env['PATCHBAY_BIN_DIR'] ??
  ['native', 'node'].map(engine => join(ROOT, 'dist', engine, 'bin')).find(path => existsSync(join(path, 'cluster'))) ??
  ''

const LEASE_SECONDS = 3

interface Box {
  readonly host: LabHost
  readonly id: string
  readonly netns: Namespace
  readonly ips: readonly string[]
  readonly reply: LabReply
}

/** Three hosts, an etcd, an agent on each host. */
class Site {
  readonly lab: OverlayLab
  readonly etcd: EtcdCluster
  readonly agents: readonly LabAgent[]

  constructor(lab: OverlayLab, etcd: EtcdCluster, agents: readonly LabAgent[]) {
    this.lab = lab
    this.etcd = etcd
    this.agents = agents
  }

  agent(number: number): LabAgent {
    const agent = this.agents[number]
    if (agent === undefined) throw new Error(`there is no agent ${number}`)
    return agent
  }

  config(host: LabHost, more: object = {}): Record<string, unknown> {
    const ranges = [[{ subnet: '10.42.0.0/16' }], [{ subnet: 'fd42::/64' }]]
    const registry = { socket: this.agent(host.number).socket, timeout: 5 }
    return { type: 'vxlan', vni: 42, isGateway: true, registry, ipam: { type: 'cluster', ranges }, ...more }
  }

  async add(number: number, id: string, more: object = {}, netns = this.lab.container()): Promise<Box> {
    const host = this.lab.host(number)
    const reply = await this.lab.start(host, 'ADD', this.config(host, more), { id, netns: netns.path })
    if (reply.status !== 0) throw new Error(`ADD ${id} on host ${number}: ${reply.stdout}\n${this.agent(number).log}`)
    const ips = reply.json.ips.map((ip: { address: string }) => ip.address.split('/')[0])
    return { host, id, netns, ips, reply }
  }

  async call(command: string, number: number, id: string, more: object = {}, netns = ''): Promise<LabReply> {
    const host = this.lab.host(number)
    return this.lab.start(host, command, this.config(host, more), { id, netns })
  }

  fdb(number: number): string {
    return ok(this.lab.host(number).namespace, 'bridge fdb show dev vx42')
  }

  neighbours(number: number): string {
    return ok(this.lab.host(number).namespace, 'ip neigh show dev br-vx42')
  }
}

async function inSite(
  members: number,
  body: (site: Site) => Promise<void>,
  hosts = 3,
  etcdConfig: object = {}
): Promise<void> {
  await inLab(hosts, { binDir: BIN_DIR }, async lab => {
    const etcd = await EtcdCluster.start(lab, members)
    const registry = {
      etcd: { endpoints: etcd.endpoints(), leaseSeconds: LEASE_SECONDS, addressLeaseSeconds: 4, ...etcdConfig }
    }
    const agents = lab.hosts.map(host => new LabAgent(lab, host, registry))
    await Promise.all(agents.map(agent => agent.whenReady()))
    try {
      await body(new Site(lab, etcd, agents))
    } catch (error) {
      for (const agent of agents) process.stderr.write(agent.log.replaceAll(/^/gm, `host ${agent.host.number}: `))
      throw error
    }
  })
}

function macOf(box: Box): string {
  return box.reply.json.interfaces[3].mac
}

/** Hears when a host's forwarding tables change, by the kernel's own clock: asking again and again would take longer. */
class FdbMonitor {
  #text = ''

  constructor(lab: OverlayLab, number: number) {
    const child = lab.run(lab.host(number).namespace, 'ip', ['-tshort', 'monitor', 'neigh'])
    child.stdout?.on('data', chunk => {
      this.#text += String(chunk)
    })
  }

  /** @returns when the entry came, in milliseconds since 1970 */
  async whenSeen(entry: string): Promise<number> {
    const find = (): string | undefined => this.#text.split('\n').find(line => line.includes(entry))
    await until(`an entry ${entry}`, () => find() !== undefined)
    const time = /^\[([0-9T:.-]+)\]/.exec(find() ?? '')?.[1] ?? ''
    return Date.parse(time.slice(0, 23))
  }
}

/** Waits for a ping to get through. @returns milliseconds */
function reached(from: Box, address: string, milliseconds = 5000): Promise<number> {
  return until(`${from.id} reaches ${address}`, () => pings(from.netns, address), milliseconds)
}

test('any to any over both families with full frames; entries are exact; what is known is not flooded; nothing is left', async () => {
  await inSite(3, async site => {
    const { lab, etcd } = site
    const boxes: Box[] = []
    for (const number of [0, 1, 2]) boxes.push(await site.add(number, `c${number}`))
    const [a, b, c] = boxes as [Box, Box, Box]
    await until('host 0 knows the others', () => [b, c].every(box => site.fdb(0).includes(macOf(box))))
    for (const from of boxes) {
      for (const to of boxes) {
        if (from === to) continue
        assert.ok(pings(from.netns, to.ips[0] ?? '', 1450 - 28), `${from.id} to ${to.ips[0]}`)
        assert.ok(pings(from.netns, to.ips[1] ?? '', 1450 - 48), `${from.id} to ${to.ips[1]}`)
      }
    }
    const fdb = site.fdb(0).split('\n')
    for (const [box, vtep] of [
      [b, '192.0.2.2'],
      [c, '192.0.2.3']
    ] as const) {
      assert.is(fdb.filter(line => line.startsWith(`${macOf(box)} dst ${vtep} self extern_learn`)).length, 1)
      for (const ip of box.ips)
        assert.match(site.neighbours(0), new RegExp(`${ip} lladdr ${macOf(box)} extern_learn PERMANENT`))
    }
    assert.equal(
      fdb
        .filter(line => line.startsWith('00:00:00:00:00:00'))
        .map(line => line.split(' ')[2])
        .sort(),
      ['192.0.2.2', '192.0.2.3']
    )

    // Questions for known addresses, and announcements, do not leave the host.
    const capture = spawn('nsenter', [
      `--net=${lab.host(0).namespace.path}`,
      ...['tcpdump', '-l', '-n', '-i', 'eth0', '-Q', 'out', 'udp', 'port', '4789', '-e', '-v']
    ])
    let seen = ''
    capture.stdout.on('data', chunk => {
      seen += String(chunk)
    })
    await new Promise<void>(resolve =>
      capture.stderr.on('data', text => String(text).includes('listening') && resolve())
    )
    ok(a.netns, 'ip neigh flush all')
    for (const box of [b, c]) for (const ip of box.ips) assert.ok(pings(a.netns, ip))
    assert.ok(pings(a.netns, '10.42.0.1'))
    await until('the capture shows the pings', () => (seen.match(/echo request/g) ?? []).length >= 4)
    capture.kill('SIGTERM')
    assert.not.match(seen, /ARP, Request who-has 10\.42|neighbor solicitation, .*who has fd42/)

    // Two networks with one subnet do not see each other.
    const other = { name: 'other', vni: 43, isGateway: false }
    const alien = await site.add(1, 'x1', other)
    assert.not.ok(pings(a.netns, alien.ips[0] ?? ''))

    const checked = await site.call('CHECK', 0, 'c0', { prevResult: a.reply.json }, a.netns.path)
    assert.is(checked.stdout, '')
    assert.is((await site.call('STATUS', 0, '')).stdout, '')
    for (const box of boxes) assert.is((await site.call('DEL', box.host.number, box.id)).stdout, '')
    assert.is((await site.call('DEL', 1, 'x1', other)).stdout, '')
    assert.is((await site.call('DEL', 1, 'x1', other)).stdout, '')
    await until('the registry is empty', () => etcd.keys('/patchbay').every(key => key.startsWith('/patchbay/hosts/')))
    for (const host of lab.hosts) {
      assert.equal(lab.links(host.namespace), ['eth0', 'lo'])
      const left = lab.files(host).filter(name => /state\/net1|state\/other|endpoints\/|addresses\//.test(name))
      assert.equal(left, [])
    }
    const health = await site.agent(0).get('/healthz')
    assert.equal(health, { status: 200, text: 'ok\n' })
    assert.is(await site.agent(0).metric('patchbay_agent_registry_connected'), 1)
  })
})

test('a container moves; entries and devices that somebody removes come back within a second', async () => {
  await inSite(1, async site => {
    const { lab } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')

    // An address goes to a new container on another host: who talked to the former one reaches it with the first packet.
    const former = await site.add(1, 'former')
    await reached(a, former.ips[0] ?? '')
    assert.is((await site.call('DEL', 1, 'former')).stdout, '')
    const heir = await site.add(2, 'heir', { args: { cni: { ips: former.ips } } })
    assert.equal(heir.ips, former.ips)
    await until('host 0 sends to the new host', () => site.fdb(0).includes(`${macOf(heir)} dst 192.0.2.3 self`))
    for (const ip of heir.ips) assert.ok(pings(a.netns, ip), ip)

    // The same container, addresses and MAC on another host, before its old host has removed it.
    const mac = macOf(b)
    b.netns.run('ip', ['link', 'set', 'eth0', 'down'])
    const moved = await site.add(2, 'c1')
    assert.equal([...moved.ips, macOf(moved)], [...b.ips, mac])
    const took = await until('host 0 sends to the new host', () => site.fdb(0).includes(`${mac} dst 192.0.2.3 self`))
    assert.ok(took < 1000, `${took} ms`)
    await reached(a, moved.ips[0] ?? '', 2000)
    assert.is((await site.call('DEL', 1, 'c1')).stdout, '')
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.ok(pings(a.netns, moved.ips[0] ?? ''), 'still there after the old host has tidied up')

    const host = lab.host(0).namespace
    const repairs: readonly (readonly [string, () => boolean])[] = [
      [`bridge fdb del ${mac} dev vx42 self`, () => site.fdb(0).includes(`${mac} dst 192.0.2.3`)],
      [`bridge fdb del ${mac} dev vx42 master`, () => /extern_learn master/.test(site.fdb(0))],
      [
        `bridge fdb del 00:00:00:00:00:00 dev vx42 dst 192.0.2.3 self`,
        () => site.fdb(0).includes('00:00:00:00:00:00 dst 192.0.2.3')
      ],
      [`ip neigh del ${moved.ips[0]} dev br-vx42`, () => site.neighbours(0).includes(`${moved.ips[0]} lladdr ${mac}`)],
      ['ip link del vx42', () => site.fdb(0).includes(`${mac} dst 192.0.2.3`)],
      ['ip link set vx42 down', () => ok(host, 'ip link show vx42').includes(',UP')],
      [
        'ip link set vx42 address 02:00:00:00:00:99',
        () => !ok(host, 'ip link show vx42').includes('02:00:00:00:00:99')
      ],
      ['ip link del br-vx42', () => site.neighbours(0).includes(`${moved.ips[0]} lladdr ${mac}`)]
    ]
    for (const [command, isBack] of repairs) {
      ok(host, command)
      const milliseconds = await until(command, isBack, 3000)
      assert.ok(milliseconds < 1000, `${command}: ${milliseconds} ms`)
      await reached(a, moved.ips[0] ?? '', 2000)
    }
    assert.ok(pings(a.netns, '10.42.0.1'), 'the gateway came back with the bridge')
  })
})

test('a host dies and is forgotten; an agent is killed and restarted without a lost packet', async () => {
  await inSite(1, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    const c = await site.add(2, 'c2')
    await reached(a, b.ips[0] ?? '')

    const pinger = spawn('nsenter', [`--net=${a.netns.path}`, 'ping', '-q', '-i', '0.05', b.ips[0] ?? ''])
    let summary = ''
    pinger.stdout.on('data', chunk => {
      summary += String(chunk)
    })
    await site.agent(1).kill()
    await site.agent(0).kill()
    // A container comes and one goes meanwhile.
    const refused = await site.call('ADD', 0, 'late', {}, lab.container().path)
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /reach the agent/)
    assert.is((await site.call('STATUS', 0, '')).json.code, 51)
    const d = await site.add(2, 'c3')
    assert.is((await site.call('DEL', 2, 'c2')).status, 0)
    site.agent(1).restart()
    site.agent(0).restart()
    await Promise.all([site.agent(0).whenReady(), site.agent(1).whenReady()])
    await reached(a, d.ips[0] ?? '')
    await until('the one that went is forgotten', () => !site.fdb(0).includes(macOf(c)))
    // Longer than the lease: the restarted agents have taken theirs over.
    await new Promise(resolve => setTimeout(resolve, LEASE_SECONDS * 1000))
    assert.is(etcd.keys('/patchbay/endpoints/').length, 3)
    const finished = new Promise(resolve => pinger.once('close', resolve))
    pinger.kill('SIGINT')
    await finished
    // The last one may still have been under way.
    const [, sent = 0, received = 0] = (/([0-9]+) packets transmitted, ([0-9]+) received/.exec(summary) ?? []).map(
      Number
    )
    assert.ok(sent > 50 && received >= sent - 1, summary)

    // The power goes: nothing of host 1 is heard any more.
    await site.agent(1).kill()
    lab.setPort(2, false)
    const died = await until('host 1 is forgotten', () => !/192\.0\.2\.2/.test(site.fdb(0)), 15_000)
    assert.ok(died < (LEASE_SECONDS + 5) * 1000, `${died} ms`)
    assert.not.match(site.neighbours(0), new RegExp(`${b.ips[0]} `))
    await until('its addresses are free', () => etcd.keys('/patchbay/addresses/').length === 4, 15_000)
    assert.ok(pings(a.netns, d.ips[0] ?? ''))
  })
})

test('the leader of etcd is killed; etcd goes away and returns; a host is cut off and returns', async () => {
  await inSite(3, async site => {
    const { lab, etcd } = site
    const a = await site.add(0, 'c0')
    const b = await site.add(1, 'c1')
    await reached(a, b.ips[0] ?? '')

    const leader = etcd.leader()
    etcd.kill(leader)
    const c = await site.add(2, 'c2')
    await reached(a, c.ips[0] ?? '')
    etcd.restart(leader)

    // Two of three: no majority, so nothing can be written.
    const others = [0, 1, 2].filter(one => one !== leader)
    for (const one of others) etcd.kill(one)
    await until('the agent notices', async () => (await site.agent(0).get('/healthz')).status === 503, 10_000)
    const refused = await site.call('ADD', 0, 'late', {}, lab.container().path)
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /reach the registry: .+/)
    assert.ok(pings(a.netns, b.ips[0] ?? ''), 'running traffic goes on')
    // An agent that starts now knows nothing, and takes nothing away for it.
    await site.agent(0).kill()
    site.agent(0).restart()
    await new Promise(resolve => setTimeout(resolve, 6000))
    assert.ok(pings(a.netns, b.ips[0] ?? ''), 'also over a restart of the agent')
    // A container goes while nobody can be told.
    assert.is((await site.call('DEL', 1, 'c1')).stdout, '')
    for (const one of others) etcd.restart(one)
    await Promise.all(site.agents.map(agent => agent.whenReady()))
    await until('it is told afterwards', () => !site.fdb(0).includes(macOf(b)), 10_000)
    assert.ok(pings(a.netns, c.ips[0] ?? ''))
    const d = await site.add(1, 'c3')
    await reached(a, d.ips[0] ?? '')

    // Host 1 is cut off for longer than its lease lives.
    lab.setPort(2, false)
    await until('host 1 is forgotten', () => !/192\.0\.2\.2/.test(site.fdb(0)), 15_000)
    assert.ok(pings(a.netns, c.ips[0] ?? ''))
    const e = await site.add(0, 'c4')
    lab.setPort(2, true)
    await until('host 1 is back', () => site.fdb(0).includes(macOf(d)) && site.fdb(1).includes(macOf(e)), 15_000)
    await reached(a, d.ips[0] ?? '')
    await reached(d, e.ips[0] ?? '')
  })
})

test('200 ADDs at once on all hosts: no address twice, all known everywhere; DEL and GC leave nothing', async () => {
  await inSite(3, async site => {
    const { lab, etcd } = site
    const small = { ipam: { type: 'cluster', ranges: [[{ subnet: '10.42.0.0/24', rangeEnd: '10.42.0.209' }]] } }
    const boxes = await Promise.all(Array.from({ length: 200 }, (_, i) => site.add(i % 3, `c${i}`, small)))
    const ips = boxes.map(box => box.ips[0])
    assert.is(new Set(ips).size, 200)
    await until('all are known everywhere', () =>
      [0, 1, 2].every(number => (site.neighbours(number).match(/PERMANENT/g) ?? []).length === 200)
    )
    // 208 addresses from .2 to .209: eight are left.
    for (let i = 0; i < 8; i += 1) await site.add(i % 3, `more${i}`, small)
    const full = await site.call('ADD', 0, 'last', small, lab.container().path)
    assert.is(full.json.code, 100)
    assert.match(full.json.msg, /208 of 208 addresses/)
    assert.is((await site.call('STATUS', 1, '', small)).json.code, 50)

    const keep = [{ containerID: 'c0', ifname: 'eth0' }]
    for (const number of [0, 1, 2]) {
      const gc = await site.call('GC', number, '', { ...small, 'cni.dev/valid-attachments': number === 0 ? keep : [] })
      assert.is(gc.stdout, '')
    }
    await until(
      'one is left',
      () => etcd.keys('/patchbay/endpoints/').length === 1 && etcd.keys('/patchbay/addresses/').length === 1
    )
    assert.equal(lab.links(lab.host(1).namespace), ['eth0', 'lo'])
    // The same owner gets the same address again, on whatever host.
    const first = await site.add(1, 'c1', small)
    assert.is((await site.call('DEL', 1, 'c1', small)).stdout, '')
    const again = await site.add(2, 'c1', small)
    assert.equal(again.ips, first.ips)
  })
})

test('a new endpoint is reachable from every host within 100 ms of the return of ADD, at five hosts', async () => {
  await inSite(
    1,
    async site => {
      for (const number of [0, 1, 2, 3]) await site.add(number, `c${number}`)
      const monitors = [0, 1, 2, 3].map(number => new FdbMonitor(site.lab, number))
      const times: number[] = []
      for (let i = 0; i < 5; i += 1) {
        const box = await site.add(4, `new${i}`)
        const returned = Date.now()
        const known = await Promise.all(
          monitors.map(monitor => monitor.whenSeen(`192.0.2.5 dev vx42 lladdr ${macOf(box)} `))
        )
        times.push(Math.max(...known) - returned)
      }
      process.stdout.write(`known everywhere after ${times.map(one => one.toFixed(0)).join(', ')} ms\n`)
      times.sort((x, y) => x - y)
      assert.ok((times[2] ?? 1000) < 100, `median ${times[2]} ms`)
    },
    5
  )
})

test('a second agent on a host is refused; so is a second host of one name', async () => {
  await inSite(
    1,
    async site => {
      const host = site.lab.host(0)
      const second = spawn('nsenter', [
        `--net=${host.namespace.path}`,
        process.execPath,
        ...['--no-warnings', join(ROOT, 'cli', 'main.ts'), 'agent', '--config', join(host.directory, 'agent.json')]
      ])
      let said = ''
      second.stderr.on('data', chunk => {
        said += String(chunk)
      })
      assert.is(await new Promise(resolve => second.once('exit', resolve)), 1)
      assert.match(said, /process [0-9]+ is this host's agent/)
      assert.ok((await site.agent(0).ask({ do: 'status' })).ok)
      const state = readdirSync(join(host.directory, 'agent'))
      assert.ok(state.includes('lock'))
      assert.is(readFileSync(join(host.directory, 'agent', 'pid'), 'utf8').trim() === '', false)
    },
    1
  )
})

test.run()
