/**
 * Encrypted overlays on a kernel that has WireGuard: hosts with their agents on an etcd, and a wire on which everything is written
 * down from before the first container comes. Judged by tcpdump, `wg`, `ip` and `bridge`.
 */
// needs: bridge ping etcd etcdctl tcpdump wg busybox nft setpriv
// time-out: 300 s
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { carrierOf, isUnreachable, type LabHost, type OverlayLab, ok, pings } from '../../lib/testing/overlay-lab.ts'
import { type Box, inSite, type OverlaySite, reached } from '../../lib/testing/overlay-site.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { attach, detach, makeServiceNetwork, service } from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { transferSeconds } from '../../lib/testing/transfer.ts'
import { Wire } from '../../lib/testing/wire.ts'

const test = suite('agent/encryption')

const SECRET = { encrypted: true }
const PLAIN = { name: 'plain', vni: 43, ipam: { type: 'cluster', ranges: [[{ subnet: '10.43.0.0/16' }]] } }
const PORT = 51_830

/** Runs a command line of `wg` or `ip` where the tunnels of a host go through. */
function inCarrier(host: LabHost, line: string): string {
  const args = [`--net=${carrierOf(host)}`, ...line.split(' ')]
  const { status, stdout, stderr } = spawnSync('nsenter', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${line}: ${stderr}`)
  return stdout
}

/** Underlay addresses of a host's peers, sorted. */
function peersOf(host: LabHost): readonly string[] {
  const lines = inCarrier(host, 'wg show wg0 endpoints').trim().split('\n')
  return lines.flatMap(line => line.split('\t')[1]?.replace(/:[0-9]+$/, '') ?? []).sort()
}

function addressOf(host: LabHost): string {
  return /inet6? (\S+)\/(?:128|32) /.exec(inCarrier(host, 'ip address show wg0'))?.[1] ?? ''
}

function keyOf(host: LabHost): string {
  return inCarrier(host, 'wg show wg0 public-key').trim()
}

/** Sends what would be known again on the wire. */
function speak(from: Box, address: string, marker: string): void {
  from.netns.run('ping', ['-c', '2', '-i', '0.2', '-W', '3', '-p', marker, address])
}

/** Somebody on the wire who sends frames of a network as if he were a host of it. @returns the address that he claims */
function inject(lab: OverlayLab, number: number, vni: number, target: string): string {
  const { namespace } = lab.plug(number)
  const claimed = `10.${vni}.0.66`
  ok(namespace, `ip link add vx type vxlan id ${vni} dstport 4789 local 192.0.2.${number} remote 192.0.2.1`)
  ok(namespace, 'ip link set vx up')
  ok(namespace, `ip address add ${claimed}/16 dev vx`)
  namespace.run('ping', ['-c', '2', '-i', '0.3', '-W', '1', target])
  return claimed
}

test('hosts reach each other; the wire has nothing but WireGuard, whatever happens to device, agent and underlay', async () => {
  // Longer than all of this takes: a lease ends when it is revoked.
  const etcd = { leaseSeconds: 600, addressLeaseSeconds: 600 }
  await inSite({ members: 1, hosts: 3, etcd }, async site => {
    const { lab } = site
    const wire = await Wire.tap(lab)
    await refusedWithoutWireGuard(site, wire)
    const [a, b, c] = await Promise.all([site.add(0, 'a', SECRET), site.add(1, 'b', SECRET), site.add(2, 'c', SECRET)])
    const ways = [a, b, c].flatMap((from, i) => [b, c, a][i]?.ips.map(ip => reached(from, ip)) ?? [])
    await Promise.all(ways)
    // 1500 less 60 for WireGuard over IPv4, less 70 for VXLAN over IPv6, less IP and ICMP.
    assert.ok(pings(a.netns, b.ips[0] ?? '', 1500 - 60 - 70 - 28), 'frames of full size')
    assert.equal(peersOf(a.host), ['192.0.2.2', '192.0.2.3'])
    assert.match(inCarrier(b.host, 'ip -o link show wg0'), /mtu 1440 /)
    // Nothing else is in there, and nothing leads anywhere else.
    assert.equal(inCarrier(a.host, 'ip -br link').match(/^\S+/gm), ['lo', 'wg0'])
    assert.is(inCarrier(a.host, 'ip -4 route'), '')
    assert.match(inCarrier(a.host, 'ip -6 route'), /^fd\S+ dev wg0 [^\n]*\nfd00::\/8 dev wg0 [^\n]*\n$/)
    const checked = await site.check(a, SECRET)
    assert.is(checked.stdout, '')

    // The agents die, and traffic goes on.
    for (const agent of site.agents) await agent.kill()
    assert.ok(pings(a.netns, b.ips[1] ?? ''))
    for (const number of [0, 1]) site.agent(number).restart()
    await Promise.all([0, 1].map(number => site.agent(number).whenReady()))
    assert.ok(inCarrier(a.host, 'wg show wg0 peers').includes(keyOf(b.host)))

    // The device is taken away, then the whole namespace: both come back, and meanwhile nothing leaves.
    const keys = [keyOf(a.host), keyOf(b.host)]
    inCarrier(a.host, 'ip link del wg0')
    speak(a, b.ips[0] ?? '', 'decade01')
    await reached(a, b.ips[0] ?? '')
    assert.is(spawnSync('umount', [carrierOf(b.host)]).status, 0)
    speak(a, b.ips[0] ?? '', 'decade02')
    await reached(a, b.ips[0] ?? '')
    // As after a reboot: what is on disk is what a host is known by.
    assert.equal([keyOf(a.host), keyOf(b.host)], keys)

    await followsUnderlay(site, a, b)
    assert.equal(wire.strangers(PORT), [])
    for (const marker of ['decade01', 'decade02']) assert.not.ok(wire.carried(marked(marker)), marker)

    await sideBySide(site, wire, a)

    // Host 2 has been dead since: its lease ends.
    site.etcd.ctl('lease', 'revoke', leaseOf(site, 'h2'))
    await until('host 2 is no peer', () => !peersOf(a.host).includes('192.0.2.3'))
  })
})

/** What all that a host has told the registry hangs on, in hexadecimal. */
function leaseOf(site: OverlaySite, host: string): string {
  const { records } = JSON.parse(site.etcd.ctl('get', '--print-value-only', `/patchbay/hosts/${host}`))
  return BigInt(records).toString(16)
}

const MODPROBE = '/proc/sys/kernel/modprobe'

/** Until the module can be loaded, which the next ADD brings about by itself. */
async function refusedWithoutWireGuard(site: OverlaySite, wire: Wire): Promise<void> {
  spawnSync('modprobe', ['-r', 'wireguard'])
  const former = readFileSync(MODPROBE, 'utf8')
  writeFileSync(MODPROBE, '/bin/false')
  try {
    const refused = await site.refused(0, 'early', SECRET)
    assert.is(refused.json.code, 50)
    assert.match(refused.json.msg, /modprobe wireguard/)
  } finally {
    writeFileSync(MODPROBE, former)
  }
  assert.equal(site.lab.links(site.lab.host(0).namespace), ['eth0', 'lo'])
  assert.equal(wire.strangers(), [])
}

async function followsUnderlay(site: OverlaySite, a: Box, b: Box): Promise<void> {
  const host = b.host.namespace
  ok(host, 'ip address del 192.0.2.2/24 dev eth0')
  ok(host, 'ip address add 192.0.2.9/24 dev eth0')
  ok(host, 'ip route add default via 192.0.2.254')
  await until('host 0 knows the new address', () => peersOf(a.host).includes('192.0.2.9'))
  await reached(a, b.ips[0] ?? '')
  for (const { namespace } of site.lab.hosts) ok(namespace, 'ip link set eth0 mtu 1450')
  for (const box of [a, b])
    await until(`${box.id} has the MTU`, () => ok(box.netns, 'ip link show eth0').includes('mtu 1320 '))
  assert.ok(pings(a.netns, b.ips[0] ?? '', 1320 - 28), 'frames of full size')
}

/** A network that is not encrypted goes on as ever, and shows that what was looked for can be found. */
async function sideBySide(site: OverlaySite, wire: Wire, a: Box): Promise<void> {
  const plain = await Promise.all([site.add(0, 'p0', PLAIN), site.add(1, 'p1', PLAIN)])
  await reached(plain[0], plain[1].ips[0] ?? '')
  speak(plain[0], plain[1].ips[0] ?? '', 'decade03')
  await until('the plain one is seen', () => wire.carried(marked('decade03')))
  assert.ok(wire.strangers(PORT).length > 0)
  assert.equal(wire.strangers(PORT, 4789), [])
  assert.equal(
    wire.seen('udp port 4789').filter(line => /vni 42\b/.test(line)),
    []
  )
  assert.ok(ok(a.host.namespace, 'ip -d link show vx42').includes('link-netns'))
  assert.not.ok(ok(a.host.namespace, 'ip -d link show vx43').includes('link-netns'))
  // Frames from somebody who is no host reach containers of the plain network only.
  const claimed = inject(site.lab, 12, 43, plain[0].ips[0] ?? '')
  assert.match(ok(plain[0].netns, `ip neigh show ${claimed}`), /lladdr/)
  assert.is(ok(a.netns, `ip neigh show ${inject(site.lab, 13, 42, a.ips[0] ?? '')}`), '')
  await becomesEncrypted(site, wire, ...plain)
}

function marked(marker: string): Uint8Array {
  return Buffer.from(marker.repeat(4), 'hex')
}

/** Over IPv6, with addresses of IPv4 within, and another port on each host. */
function otherwise(host: LabHost): object {
  const directory = join(host.directory, 'keys')
  const port = 4000 + host.number
  const encryption = { directory, range: '10.0.0.0/8', port, keepaliveSeconds: 20 }
  return { underlay: { local: host.address6 }, encryption }
}

/** As systemd starts the agent: with mounts of its own, and no more than the capabilities that its unit names. */
function asService(): readonly string[] {
  const unit = readFileSync(join(import.meta.dirname, '..', 'systemd', 'patchbay-agent.service'), 'utf8')
  const names = /^CapabilityBoundingSet=(.+)$/m.exec(unit)?.[1]?.toLowerCase().split(' ') ?? []
  const bounding = ['-all', ...names.map(name => name.replace('cap_', '+'))].join()
  return ['unshare', '--mount', '--propagation', 'slave', 'setpriv', '--no-new-privs', `--bounding-set=${bounding}`]
}

/** A network in clear becomes an encrypted one with the next container of each host; those that are there go with it. */
async function becomesEncrypted(site: OverlaySite, wire: Wire, from: Box, to: Box): Promise<void> {
  const more = { ...PLAIN, encrypted: true }
  assert.match((await site.check(from, more)).json.msg, /link "vx43": it is not encrypted/)
  await Promise.all([0, 1].map(number => site.add(number, `more${number}`, more)))
  await until('host 0 has it anew', () => ok(from.host.namespace, 'ip -d link show vx43').includes('link-netns'))
  await reached(from, to.ips[0] ?? '')
  // Those who had injected frames go on looking for routers.
  const inClear = 'udp port 4789 and not host 192.0.2.12 and not host 192.0.2.13'
  const before = wire.seen(inClear).length
  speak(from, to.ips[0] ?? '', 'decade04')
  await reached(from, to.ips[0] ?? '')
  assert.is(wire.seen(inClear).length, before)
  assert.not.ok(wire.carried(marked('decade04')))
}

test('another key under a known name is refused until somebody says so', async () => {
  await inSite({ members: 1, hosts: 2, agent: otherwise, launcher: asService() }, async site => {
    const wire = await Wire.tap(site.lab)
    const [a, b] = await Promise.all([site.add(0, 'a', SECRET), site.add(1, 'b', SECRET)])
    for (const ip of b.ips) await reached(a, ip)
    // 1500 less 80 for WireGuard over IPv6, less 50 for VXLAN over IPv4, less IP and ICMP.
    assert.ok(pings(a.netns, b.ips[0] ?? '', 1500 - 80 - 50 - 28), 'frames of full size')
    assert.match(addressOf(a.host), /^10\./)
    assert.match(inCarrier(a.host, 'wg show wg0 endpoints'), /\[2001:db8::2\]:4001$/m)
    assert.match(inCarrier(a.host, 'wg show wg0 persistent-keepalive'), /\t20$/m)
    judgeKeyFiles(site, b.host)

    const former = keyOf(b.host)
    await site.agent(1).kill()
    // The namespace outlives the agent's own mounts.
    assert.ok(pings(a.netns, b.ips[0] ?? ''))
    rmSync(join(b.host.directory, 'keys', 'private.key'))
    site.agent(1).restart()
    await site.agent(1).whenReady()
    await until('host 1 has another key', () => keyOf(b.host) !== former)
    await until('host 0 refuses it', () => /host "h1" presents key .* but is known by /.test(site.agent(0).log))
    assert.not.ok(inCarrier(a.host, 'wg show wg0 peers').includes(keyOf(b.host)))
    assert.ok(isUnreachable(a.netns, b.ips[0] ?? ''))
    const wrong = await site.agent(0).ask({ do: 'trust', host: 'h1', key: former })
    assert.match(wrong.msg ?? '', /it presents \S+, not /)
    assert.match(trust(site, 0, 'h1').stdout, /^h1 is known by .*, no longer by /)
    await reached(a, b.ips[0] ?? '')
    assert.is((await site.check(b, SECRET)).stdout, '')
    await publishesService(site)
    assert.equal(wire.strangers(4000, 4001), [])

    // Without the registry traffic goes on, and containers can end.
    await site.etcd.kill(0)
    assert.ok(pings(a.netns, b.ips[0] ?? ''))
    for (const box of [a, b]) {
      assert.is((await site.call('DEL', box.host.number, box.id, SECRET)).stdout, '')
      assert.equal(site.lab.links(box.host.namespace), ['eth0', 'lo'])
    }
  })
})

/** A host without a container takes part in an encrypted network for a port that leads to a service there. */
async function publishesService(site: OverlaySite): Promise<void> {
  const { namespace } = site.lab.host(1)
  await makeServiceNetwork(site, { encrypted: true })
  const box = attach(site, 0, 'web1', 'web')
  site.lab.run(box.netns, 'busybox', ['nc', '-ll', '-p', '80', '-e', 'echo', 'web1'])
  const made = service(site, 1, 'create', 'web', '--network', 'blue', '-p', '8001:80')
  assert.is(made.status, 0, made.stderr)
  await until('host 1 answers', () => ok(namespace, 'busybox nc -w 5 127.0.0.1 8001') === 'web1\n')
  const tunnels = ok(namespace, 'ip -o -d link show type vxlan').trim().split('\n')
  assert.is(tunnels.length, 2)
  for (const tunnel of tunnels) assert.match(tunnel, /link-netns/)
  assert.ok((await site.agent(1).ask({ do: 'service-remove', name: 'web' })).ok)
  detach(site, box)
  await until('host 1 has let go of it', () => site.lab.links(namespace).filter(name => /^vx/.test(name)).length === 1)
}

/** The private key is the host's own, and stays at home. */
function judgeKeyFiles(site: OverlaySite, host: LabHost): void {
  const directory = join(host.directory, 'keys')
  assert.is(statSync(directory).mode & 0o777, 0o700)
  assert.is(statSync(join(directory, 'private.key')).mode & 0o777, 0o600)
  const stored = readFileSync(join(directory, 'private.key'), 'utf8')
  assert.is(spawnSync('wg', ['pubkey'], { input: stored, encoding: 'utf8' }).stdout.trim(), keyOf(host))
  assert.not.ok(site.etcd.ctl('get', '--prefix', '/').includes(stored.trim()))
}

function trust(site: OverlaySite, number: number, ...args: readonly string[]) {
  const [node, ...program] = patchbayProgram()
  const config = join(site.lab.host(number).directory, 'agent.json')
  return spawnSync(node, [...program, 'agent', 'trust', ...args, '--config', config], { encoding: 'utf8' })
}

/** Two containers on two hosts, one way or another. */
interface Pair {
  readonly name: string
  readonly from: Namespace
  readonly to: Namespace
  readonly address: string
}

/** The same by hand, with `ip` and `wg`: VXLAN over a WireGuard device of the host, a bridge and a container on each. */
function pairByHand(lab: OverlayLab): Pair {
  const ends = [21, 22].map(number => {
    const { namespace, address } = lab.plug(number)
    const container = lab.container()
    const file = join(lab.directory, `key${number}`)
    ok(namespace, 'ip link add wg0 mtu 1440 type wireguard')
    writeFileSync(file, ok(namespace, 'wg genkey'), { mode: 0o600 })
    ok(namespace, `wg set wg0 listen-port 51820 private-key ${file}`)
    ok(namespace, `ip address add fd77::${number}/64 dev wg0 nodad`)
    ok(namespace, 'ip link set wg0 up')
    ok(namespace, 'ip link add br0 type bridge')
    ok(namespace, `ip link add vx0 type vxlan id 9 dstport 4789 local fd77::${number} remote fd77::${43 - number}`)
    ok(namespace, `ip link add v0 mtu 1370 type veth peer name eth0 mtu 1370 netns ${container.pid}`)
    for (const link of ['vx0', 'v0']) ok(namespace, `ip link set ${link} mtu 1370 master br0 up`)
    ok(namespace, 'ip link set br0 up')
    ok(container, `ip address add 10.77.0.${number}/24 dev eth0`)
    ok(container, 'ip link set eth0 up')
    return { number, namespace, address, container, key: ok(namespace, 'wg show wg0 public-key').trim() }
  })
  const [one, two] = ends
  if (one === undefined || two === undefined) throw new Error('there are two')
  for (const [here, there] of [
    [one, two],
    [two, one]
  ] as const) {
    const peer = `peer ${there.key} endpoint ${there.address}:51820 allowed-ips fd77::${there.number}/128`
    ok(here.namespace, `wg set wg0 ${peer}`)
  }
  return { name: 'VXLAN over WireGuard by hand', from: one.container, to: two.container, address: '10.77.0.22' }
}

/** Milliseconds of a round trip, the mean of 50. */
function roundTrip({ from, address }: Pair): number {
  const said = ok(from, `ping -q -c 50 -i 0.02 ${address}`)
  return Number(/= [0-9.]+\/([0-9.]+)\//.exec(said)?.[1])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const BYTES = 16 * 1024 * 1024
const ROUNDS = 7

// `PATCHBAY_MEASURE=1 npm run test:guest -- agent/encryption/encryption.guest.test.ts` measures, too.
if (process.env['PATCHBAY_MEASURE'] === '1') {
  test('throughput and latency beside a tunnel in clear, and beside the same by hand', async () => {
    await inSite({ members: 1, hosts: 2 }, async site => {
      const pairOf = async (name: string, more: object): Promise<Pair> => {
        const [a, b] = [await site.add(0, `${name}0`, more), await site.add(1, `${name}1`, more)]
        await reached(a, b.ips[0] ?? '')
        return { name, from: a.netns, to: b.netns, address: b.ips[0] ?? '' }
      }
      const pairs = [await pairOf('clear', PLAIN), await pairOf('encrypted', SECRET), pairByHand(site.lab)]
      const measured = pairs.map(pair => ({ pair, seconds: [] as number[], trips: [] as number[] }))
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const { pair, seconds, trips } of measured) {
          seconds.push(await transferSeconds(pair.from, pair.to, pair.address, BYTES))
          trips.push(roundTrip(pair))
        }
      }
      for (const { pair, seconds, trips } of measured) {
        const rate = (BYTES * 8) / 1e6 / median(seconds)
        process.stdout.write(`${pair.name}: ${rate.toFixed(1)} Mbit/s, ${median(trips).toFixed(2)} ms\n`)
      }
    })
  })
}

test.run()
