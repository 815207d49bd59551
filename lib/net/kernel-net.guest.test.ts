/**
 * What needs a kernel with 8021q, VLAN filtering on bridges, dummy, ipvlan, vrf and WireGuard; judged by iproute2 and `wg`.
 */
// needs: bridge wg
import { parsePrefix } from '../ip/prefix.ts'
import { ip, ipLink, must } from '../testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../testing/namespace.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { LinuxKernel } from './kernel-net.ts'
import type { Net } from './net.ts'
import { WGPEER_F_REMOVE_ME, WGPEER_F_REPLACE_ALLOWEDIPS, type WgPeer, WireGuard } from './wireguard.ts'

const test = suite('lib/net: kernel with everything')
const kernel = new LinuxKernel()

function withNet(body: (net: Net, box: Namespace) => void): void {
  withNamespaces(1, box => {
    if (box === undefined) return
    const net = kernel.open(box.path)
    try {
      body(net, box)
    } finally {
      net.close()
    }
  })
}

function infoOf(box: Namespace, name: string): Readonly<Record<string, unknown>> {
  return { kind: ipLink(box, name)?.linkinfo?.info_kind, ...ipLink(box, name)?.linkinfo?.info_data }
}

interface ShownVlan {
  readonly vlan: number
  readonly vlanEnd?: number
  readonly flags?: readonly string[] | undefined
}

function shownVlans(box: Namespace, name: string): readonly ShownVlan[] {
  const ports: readonly { readonly vlans: readonly ShownVlan[] }[] = JSON.parse(
    must(box, 'bridge', '-j', '-compressvlans', 'vlan', 'show', 'dev', name)
  )
  // Compressed, iproute2 6.1 lists absent flags as [].
  return (ports[0]?.vlans ?? []).map(({ flags, ...rest }) => ((flags ?? []).length === 0 ? rest : { ...rest, flags }))
}

test('links of the kinds that small kernels lack', () => {
  withNet((net, box) => {
    const parent = net.links.add({ name: 'd0', kind: { kind: 'dummy' }, mtu: 1400, up: true })
    assert.equal(infoOf(box, 'd0'), { kind: 'dummy' })
    assert.is(parent.kind, 'dummy')

    const vlan = net.links.add({ name: 'd0.5', kind: { kind: 'vlan', parentIndex: parent.index, id: 5 }, up: true })
    assert.is(infoOf(box, 'd0.5')['id'], 5)
    assert.ok(vlan.info.kind === 'vlan' && vlan.info.id === 5 && vlan.info.protocol === 0x8100)
    assert.is(vlan.parentIndex, parent.index)

    for (const [mode, flag] of [
      ['l2', 'bridge'],
      ['l3', 'private'],
      ['l3s', 'vepa']
    ] as const) {
      // All ipvlans of a parent share one mode.
      const base = net.links.add({ name: `b${mode}`, kind: { kind: 'dummy' }, up: true })
      const made = net.links.add({ name: `i${mode}`, kind: { kind: 'ipvlan', parentIndex: base.index, mode, flag } })
      assert.is(infoOf(box, `i${mode}`)['mode'], mode)
      assert.ok(made.info.kind === 'ipvlan' && made.info.mode === mode && made.info.flag === flag)
    }

    const vrf = net.links.add({ name: 'vrf0', kind: { kind: 'vrf', table: 4000 }, up: true })
    assert.is(infoOf(box, 'vrf0')['table'], 4000)
    assert.ok(vrf.info.kind === 'vrf' && vrf.info.table === 4000)
    net.links.set(parent.index, { masterIndex: vrf.index })
    assert.is(ipLink(box, 'd0')?.master, 'vrf0')
    assert.is(net.links.get('d0').port, undefined)
    net.links.set(parent.index, { masterIndex: 0 })
    assert.is(ipLink(box, 'd0')?.master, undefined)
  })
})

test('a bridge with VLAN filtering, and the VLANs of its ports', () => {
  withNet((net, box) => {
    const kind = { kind: 'bridge', vlanFiltering: true, vlanDefaultPvid: 0 } as const
    const bridge = net.links.add({ name: 'br0', kind, up: true })
    assert.equal([infoOf(box, 'br0')['vlan_filtering'], infoOf(box, 'br0')['vlan_default_pvid']], [1, 0])
    assert.ok(bridge.info.kind === 'bridge' && bridge.info.vlanFiltering === true && bridge.info.vlanDefaultPvid === 0)
    const port = net.links.add({ name: 'd0', kind: { kind: 'dummy' }, masterIndex: bridge.index, up: true })
    assert.equal(net.vlans.list(port.index), [])

    net.vlans.add(port.index, [{ vid: 5, pvid: true, untagged: true }, { vid: 100, lastVid: 200 }, { vid: 300 }])
    net.vlans.add(bridge.index, [{ vid: 5, self: true }])
    assert.equal(shownVlans(box, 'd0'), [
      { vlan: 5, flags: ['PVID', 'Egress Untagged'] },
      { vlan: 100, vlanEnd: 200 },
      { vlan: 300 }
    ])
    assert.equal(
      shownVlans(box, 'br0').map(one => one.vlan),
      [5]
    )
    const plain = net.vlans.list(port.index).map(one => [one.vid, one.lastVid, one.pvid, one.untagged])
    assert.equal(plain, [
      [5, undefined, true, true],
      [100, 200, false, false],
      [300, undefined, false, false]
    ])
    assert.equal(
      net.vlans.list(bridge.index).map(one => one.vid),
      [5]
    )

    net.vlans.remove(port.index, { vid: 100, lastVid: 199 })
    net.vlans.remove(port.index, { vid: 300 })
    net.vlans.remove(port.index, { vid: 300 })
    net.vlans.remove(bridge.index, { vid: 5, self: true })
    assert.equal(
      shownVlans(box, 'd0').map(one => one.vlan),
      [5, 200]
    )
    assert.equal(shownVlans(box, 'br0'), [])
    // What is listed can be removed as it is.
    for (const vlan of net.vlans.list(port.index)) net.vlans.remove(port.index, vlan)
    assert.equal(net.vlans.list(port.index), [])
    throwsLike(() => net.vlans.add(port.index, [{ vid: 4095 }]), { errno: 'EINVAL', message: /4095 of link/ })
  })
})

test('VLAN filtering of an existing bridge', () => {
  withNet((net, box) => {
    ip(box, 'link add br0 type bridge')
    const { index } = net.links.get('br0')
    net.links.set(index, { vlanFiltering: true, vlanDefaultPvid: 7 })
    assert.equal([infoOf(box, 'br0')['vlan_filtering'], infoOf(box, 'br0')['vlan_default_pvid']], [1, 7])
    net.links.set(index, { vlanFiltering: false })
    assert.equal([infoOf(box, 'br0')['vlan_filtering'], infoOf(box, 'br0')['vlan_default_pvid']], [0, 7])
    const port = net.links.add({ name: 'd0', kind: { kind: 'dummy' }, masterIndex: index })
    assert.equal(
      net.vlans.list(port.index).map(one => one.vid),
      [7]
    )
  })
})

test('a forwarding entry of one VLAN', () => {
  withNet((net, box) => {
    const bridge = net.links.add({ name: 'br0', kind: { kind: 'bridge', vlanFiltering: true }, up: true })
    const port = net.links.add({ name: 'd0', kind: { kind: 'dummy' }, masterIndex: bridge.index, up: true })
    net.vlans.add(port.index, [{ vid: 9 }])
    const mac = new Uint8Array([10, 0, 0, 0, 0, 9])
    net.fdb.set(port.index, { mac, master: true, vlan: 9 })
    const shown: readonly { readonly mac: string; readonly vlan?: number; readonly state: string }[] = JSON.parse(
      must(box, 'bridge', '-j', 'fdb', 'show', 'dev', 'd0')
    )
    const row = shown.find(one => one.mac === '0a:00:00:00:00:09')
    assert.equal([row?.vlan, row?.state], [9, 'static'])
    assert.is(net.fdb.remove(port.index, { mac, master: true, vlan: 9 }), true)
    assert.is(net.fdb.remove(port.index, { mac, master: true, vlan: 9 }), false)
  })
})

test('the rule and the routes of a VRF', () => {
  withNet((net, box) => {
    const vrf = net.links.add({ name: 'vrf0', kind: { kind: 'vrf', table: 4000 }, up: true })
    const rule = net.rules.list(4).find(one => one.l3mdev === true)
    assert.is(rule?.priority, 1000)
    const port = net.links.add({ name: 'd0', kind: { kind: 'dummy' }, masterIndex: vrf.index, up: true })
    const prefix = parsePrefix('10.7.0.1/24')
    if (prefix === undefined) throw new Error('the prefix does not parse')
    net.addresses.add(port.index, { prefix })
    assert.match(must(box, 'ip', 'route', 'show', 'table', '4000'), /^10\.7\.0\.0\/24 dev d0/m)
    assert.is(net.routes.list({ family: 4, table: 4000 }).filter(one => one.type === 'unicast').length, 1)
  })
})

function wireguardPeer(number: number): WgPeer {
  const publicKey = new Uint8Array(32).fill(7)
  new DataView(publicKey.buffer).setUint32(0, number)
  const address = { family: 4, bytes: new Uint8Array([10, 0, number >> 8, number & 255]) } as const
  return { publicKey, flags: WGPEER_F_REPLACE_ALLOWEDIPS, allowedIps: [{ address, length: 32 }] }
}

test('a WireGuard device: keys, port, peers one by one and by the hundred', () => {
  withNet((net, box) => {
    net.links.add({ name: 'wg0', kind: { kind: 'wireguard' }, mtu: 1420 })
    const wireguard = new WireGuard(net)
    // RFC 7748 section 6.1: Alice's key pair.
    const privateKey = Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a', 'hex')
    wireguard.set('wg0', { privateKey, port: 51_830, peers: [] })
    assert.match(must(box, 'wg', 'show', 'wg0', 'public-key'), /^hSDwCYkwp1R0i33ctD73Wg2\/Og0mOBr066SpjqqbTmo=$/m)
    const endpoint = { address: { family: 6, bytes: new Uint8Array(16).fill(0x20) }, port: 4000 } as const
    const [one, two] = [{ ...wireguardPeer(1), endpoint, keepalive: 25 }, wireguardPeer(2)]
    wireguard.set('wg0', { peers: [one, two] })
    const [device = '', ...peers] = must(box, 'wg', 'show', 'wg0', 'dump').trim().split('\n')
    assert.equal(device.split('\t').slice(2), ['51830', 'off'])
    const shown = peers.map(line => line.split('\t').slice(2)).sort()
    assert.equal(shown, [
      ['(none)', '10.0.0.2/32', '0', '0', '0', 'off'],
      ['[2020:2020:2020:2020:2020:2020:2020:2020]:4000', '10.0.0.1/32', '0', '0', '0', '25']
    ])
    wireguard.set('wg0', { peers: [{ publicKey: one.publicKey, flags: WGPEER_F_REMOVE_ME, allowedIps: [] }] })
    assert.equal(
      wireguard.get('wg0').peers.map(peer => peer.publicKey),
      [two.publicKey]
    )
    const many = Array.from({ length: 450 }, (_, i) => wireguardPeer(i + 10))
    wireguard.set('wg0', { peers: many })
    assert.is(must(box, 'wg', 'show', 'wg0', 'peers').trim().split('\n').length, 451)
    const read = wireguard.get('wg0')
    assert.equal([read.name, read.port, read.peers.length], ['wg0', 51_830, 451])
    assert.ok(read.peers.every(peer => peer.allowedIps.length === 1))
    throwsLike(() => wireguard.get('wg9'), { errno: 'ENODEV' })
    throwsLike(() => wireguard.get('lo'), { errno: 'EOPNOTSUPP' })
    wireguard.close()
  })
})

test.run()
