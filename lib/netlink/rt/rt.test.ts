/** biome-ignore-all lint/style/noExcessiveLinesPerFile: a table of messages with their bytes */
/**
 * The codecs of this folder under the laws of lib/testing/codec-laws.ts, and against what iproute2 sends
 * (testdata/*.golden).
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { IpAddress } from '../../ip/address.ts'
import { type Codec, plain, refusesToEncode, testCodec } from '../../testing/codec-laws.ts'
import { readGoldens } from '../../testing/golden.ts'
import { assert, suite, throwsLike } from '../../testing/suite.ts'
import { encodeRows, type Rows, readingRows } from '../rows.ts'
import { type AddressMessage, decodeAddress, encodeAddress } from './address.ts'
import { type BridgeInfo, bridgeRows } from './kinds/bridge.ts'
import { type BridgePort, bridgePortRows } from './kinds/bridge-port.ts'
import { type IpvlanInfo, ipvlanRows } from './kinds/ipvlan.ts'
import { type MacvlanInfo, macvlanRows } from './kinds/macvlan.ts'
import { type OtherInfo, otherRows } from './kinds/other.ts'
import { type TunInfo, tunRows } from './kinds/tun.ts'
import { type VethInfo, vethRows } from './kinds/veth.ts'
import { type VlanInfo, vlanRows } from './kinds/vlan.ts'
import { type VrfInfo, vrfRows } from './kinds/vrf.ts'
import { type VxlanInfo, vxlanRows } from './kinds/vxlan.ts'
import { decodeLink, EMPTY_LINK, encodeLink, type LinkInfoAttribute, type LinkMessage } from './link.ts'
import { decodeNeighbour, encodeNeighbour, type NeighbourMessage } from './neighbour.ts'
import { decodeNetnsId, encodeNetnsId, type NetnsIdMessage } from './netns-id.ts'
import { decodeRoute, EMPTY_ROUTE, encodeRoute, type RouteMessage } from './route.ts'
import { decodeRule, encodeRule, type RuleMessage } from './rule.ts'
import { decodeTc, encodeTc, type TcMessage } from './tc.ts'
import {
  type BridgeLinkMessage,
  decodeBridgeLink,
  decodeVlanMessage,
  encodeBridgeLink,
  encodeVlanMessage,
  type VlanMessage
} from './vlan.ts'

const test = suite('lib/netlink/rt')

const IP4: IpAddress = { family: 4, bytes: new Uint8Array([192, 0, 2, 7]) }
const IP6: IpAddress = { family: 6, bytes: new Uint8Array([0x20, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]) }
const MAC = new Uint8Array([0x0a, 0x58, 10, 1, 0, 5])

/** The codec of what is inside another message, which has rows but no encode and decode of its own. */
function rowsCodec<T>(name: string, empty: T, rows: (rows: Rows, value: T) => T, samples: readonly T[]): Codec<T> {
  return {
    name,
    encode: value => encodeRows(value, rows),
    decode: bytes => rows(readingRows(bytes, name), empty),
    header: 0,
    samples
  }
}

const BRIDGE: BridgeInfo = {
  kind: 'bridge',
  forwardDelay: 1500,
  ageingTime: 30000,
  stp: true,
  priority: 0x8000,
  vlanFiltering: true,
  vlanProtocol: 0x8100,
  groupForwardMask: 8,
  multicastSnooping: false,
  vlanDefaultPvid: 0
}
const PORT: BridgePort = {
  state: 'forwarding',
  priority: 32,
  cost: 2,
  hairpin: true,
  bpduGuard: false,
  rootBlock: false,
  fastLeave: true,
  learning: false,
  flood: true,
  proxyArp: false,
  multicastFlood: true,
  broadcastFlood: false,
  neighbourSuppress: true,
  isolated: true
}
const VXLAN4: VxlanInfo = {
  kind: 'vxlan',
  id: 0xffffff,
  group: IP4,
  parentIndex: 3,
  local: IP4,
  ttl: 64,
  tos: 1,
  learning: false,
  ageing: 300,
  limit: 100,
  sourcePorts: { low: 32768, high: 61000 },
  proxy: true,
  routeShortCircuit: false,
  l2miss: true,
  l3miss: false,
  port: 4789,
  udpChecksum: true,
  gbp: true,
  df: 'set'
}
const VXLAN6: VxlanInfo = {
  kind: 'vxlan',
  id: 1,
  group: IP6,
  local: IP6,
  udpZeroChecksum6Tx: true,
  udpZeroChecksum6Rx: false,
  collectMetadata: true,
  label: 0xfffff,
  df: 'inherit'
}
const MACVLAN: MacvlanInfo = {
  kind: 'macvlan',
  mode: 'source',
  flags: 1,
  macsMode: 'set',
  macs: [MAC, new Uint8Array([2, 0, 0, 0, 0, 1])],
  macCount: 2,
  bcQueueLength: 1000,
  bcQueueLengthUsed: 2000
}
const TUN: TunInfo = {
  kind: 'tun',
  owner: 1000,
  group: 100,
  type: 'tap',
  packetInfo: false,
  vnetHeader: true,
  persist: true,
  multiQueue: true
}
const VLAN: VlanInfo = { kind: 'vlan', id: 4094, flags: { flags: 1, mask: 0xffffffff }, protocol: 0x88a8 }
const VETH: VethInfo = { kind: 'veth', peer: encodeLink({ ...EMPTY_LINK, name: 'eth0' }) }
const IPVLAN: IpvlanInfo = { kind: 'ipvlan', mode: 'l3s', flag: 'private' }
const VRF: VrfInfo = { kind: 'vrf', table: 0xffffffff }
const OTHER: OtherInfo = { kind: 'other', unknown: [{ type: 1, flags: 0, value: MAC }] }

const LINK: LinkMessage = {
  family: 0,
  deviceType: 1,
  index: 7,
  flags: 0x11043,
  change: 0xffffffff,
  mac: MAC,
  broadcast: new Uint8Array(6).fill(255),
  name: 'abcdefghijklmno',
  mtu: 1500,
  parentIndex: 2,
  masterIndex: 3,
  txQueueLength: 1000,
  operState: 6,
  alias: 'the alias',
  families: new Uint8Array([8, 0, 2, 0, 4, 0, 1, 0]),
  groupId: 5,
  netnsFd: 9,
  altName: 'a-name-that-only-an-alternative-one-can-be',
  permanentMac: MAC,
  extMask: 8,
  promiscuity: 1,
  linkNetnsId: 0,
  properties: { altNames: ['first', 'a-longer-alternative-name'] }
}

/** The same link of each kind. */
const INFOS: readonly LinkInfoAttribute[] = [
  { kind: 'bridge', bridge: BRIDGE },
  { kind: 'vxlan', vxlan: VXLAN4 },
  { kind: 'macvlan', macvlan: MACVLAN, slaveKind: 'bridge', port: PORT },
  { kind: 'ipvlan', ipvlan: IPVLAN },
  { kind: 'vlan', vlan: VLAN },
  { kind: 'vrf', vrf: VRF },
  { kind: 'tun', tun: TUN },
  { kind: 'veth', veth: VETH },
  { kind: 'dummy' },
  { kind: 'geneve', other: OTHER, slaveKind: 'bond', otherPort: OTHER }
]

const ADDRESS: AddressMessage = {
  family: 2,
  prefixLength: 24,
  shortFlags: 0x80,
  scope: 253,
  index: 3,
  address: IP4,
  local: IP4,
  label: 'eth0:1',
  broadcast: IP4,
  anycast: IP6,
  cache: { preferred: 100, valid: 0xffffffff, created: 7, updated: 8 },
  multicast: IP6,
  flags: 0x280,
  routeMetric: 50,
  protocol: 3
}

const ROUTE: RouteMessage = {
  ...EMPTY_ROUTE,
  family: 2,
  dstLength: 24,
  shortTable: 254,
  protocol: 4,
  scope: 253,
  type: 1,
  flags: 4,
  dst: IP4,
  index: 2,
  gateway: IP4,
  metric: 100,
  source: IP4,
  metrics: { lock: 4, mtu: 1400, advmss: 1360, hopLimit: 3 },
  table: 1000,
  mark: 6,
  via: IP6,
  preference: 1
}
const MULTIPATH: RouteMessage = {
  ...EMPTY_ROUTE,
  family: 10,
  srcLength: 64,
  tos: 8,
  src: IP6,
  inputIndex: 4,
  nextHops: [
    { flags: 4, hops: 1, index: 2, gateway: IP6 },
    { flags: 0, hops: 0, index: 3, via: IP4 },
    { flags: 0, hops: 255, index: 4, unknown: [{ type: 200, flags: 0, value: MAC }] }
  ]
}

const NEIGHBOUR: NeighbourMessage = {
  family: 7,
  index: 5,
  state: 0x80,
  flags: 0x12,
  type: 1,
  dst: IP6,
  mac: MAC,
  vlan: 10,
  port: 4789,
  vni: 100,
  viaIndex: 2,
  masterIndex: 3,
  linkNetnsId: -1,
  sourceVni: 101,
  protocol: 4,
  nextHopId: 12
}

const RULE: RuleMessage = {
  family: 10,
  dstLength: 64,
  srcLength: 128,
  tos: 0,
  shortTable: 0,
  action: 1,
  flags: 2,
  dst: IP6,
  src: IP6,
  iifName: 'eth0',
  goto: 200,
  priority: 100,
  mark: 0x2000,
  suppressGroup: 1,
  suppressPrefixLength: 0,
  table: 1000,
  mask: 0x2000,
  oifName: 'eth1',
  l3mdev: 1,
  protocol: 4,
  ipProtocol: 6
}

const BRIDGE_LINK: BridgeLinkMessage = {
  family: 7,
  index: 4,
  spec: {
    flags: 2,
    vlans: [
      { flags: 6, vid: 1 },
      { flags: 8, vid: 100 },
      { flags: 16, vid: 200 }
    ]
  }
}
const VLAN_LIST: VlanMessage = {
  family: 7,
  index: 4,
  entries: [{ info: { flags: 6, vid: 1 } }, { info: { flags: 0, vid: 100 }, lastVid: 200 }]
}

const TC: TcMessage = { index: 3, handle: 0x10000, parent: 0xffffffff, info: 0 }
const NETNS_ID: NetnsIdMessage = { family: 0, id: -1, pid: 1, fd: 7 }

const links: Codec<LinkMessage> = {
  name: 'Link',
  encode: encodeLink,
  decode: decodeLink,
  header: 16,
  samples: [EMPTY_LINK, LINK, ...INFOS.map(linkInfo => ({ ...EMPTY_LINK, linkInfo }))]
}
const addresses: Codec<AddressMessage> = {
  name: 'Address',
  encode: encodeAddress,
  decode: decodeAddress,
  header: 8,
  samples: [ADDRESS, { ...ADDRESS, family: 10, address: IP6, local: undefined, cache: undefined }]
}
const routes: Codec<RouteMessage> = {
  name: 'Route',
  encode: encodeRoute,
  decode: decodeRoute,
  header: 12,
  samples: [ROUTE, MULTIPATH]
}
const neighbours: Codec<NeighbourMessage> = {
  name: 'Neighbour',
  encode: encodeNeighbour,
  decode: decodeNeighbour,
  header: 12,
  samples: [NEIGHBOUR]
}
const rules: Codec<RuleMessage> = {
  name: 'Rule',
  encode: encodeRule,
  decode: decodeRule,
  header: 12,
  samples: [RULE]
}
const bridgeLinks: Codec<BridgeLinkMessage> = {
  name: 'BridgeLink',
  encode: encodeBridgeLink,
  decode: decodeBridgeLink,
  header: 16,
  samples: [BRIDGE_LINK]
}
const vlanMessages: Codec<VlanMessage> = {
  name: 'VlanMessage',
  encode: encodeVlanMessage,
  decode: decodeVlanMessage,
  header: 8,
  samples: [VLAN_LIST]
}
const tcs: Codec<TcMessage> = {
  name: 'Tc',
  encode: encodeTc,
  decode: decodeTc,
  header: 20,
  samples: [
    { ...TC, kind: 'tbf', tbf: { rate: 125000, limit: 30000, buffer: 1562500 } },
    { ...TC, kind: 'tbf', tbf: { rate: 5_000_000_000, limit: 30000, buffer: 15625, burst: 5000 } },
    { ...TC, kind: 'u32', u32: { redirectIndex: 4 } },
    { ...TC, kind: 'u32', u32: { redirectIndex: 4, isIngress: true } },
    { ...TC, kind: 'ingress' }
  ],
  isPartial: true
}
const netnsIds: Codec<NetnsIdMessage> = {
  name: 'NetnsId',
  encode: encodeNetnsId,
  decode: decodeNetnsId,
  header: 4,
  samples: [NETNS_ID]
}

testCodec(test, links)
testCodec(test, addresses)
testCodec(test, routes)
testCodec(test, neighbours)
testCodec(test, rules)
testCodec(test, bridgeLinks)
testCodec(test, vlanMessages)
testCodec(test, tcs)
testCodec(test, netnsIds)
testCodec(test, rowsCodec<BridgeInfo>('bridge', { kind: 'bridge' }, bridgeRows, [BRIDGE]))
testCodec(test, rowsCodec<BridgePort>('bridge-port', {}, bridgePortRows, [PORT]))
testCodec(test, rowsCodec<VxlanInfo>('vxlan', { kind: 'vxlan' }, vxlanRows, [VXLAN4, VXLAN6]))
testCodec(test, rowsCodec<MacvlanInfo>('macvlan', { kind: 'macvlan' }, macvlanRows, [MACVLAN]))
testCodec(test, rowsCodec<IpvlanInfo>('ipvlan', { kind: 'ipvlan' }, ipvlanRows, [IPVLAN]))
testCodec(test, rowsCodec<VlanInfo>('vlan', { kind: 'vlan' }, vlanRows, [VLAN]))
testCodec(test, rowsCodec<VrfInfo>('vrf', { kind: 'vrf' }, vrfRows, [VRF]))
testCodec(test, rowsCodec<TunInfo>('tun', { kind: 'tun' }, tunRows, [TUN]))
testCodec(test, rowsCodec<VethInfo>('veth', { kind: 'veth' }, vethRows, [VETH]))
testCodec(test, rowsCodec<OtherInfo>('other', { kind: 'other' }, otherRows, [OTHER]))

const MESSAGES = 'Link,Address,Route,Neighbour,Rule,BridgeLink,VlanMessage,Tc,NetnsId'.split(',')
const KINDS = 'bridge,bridge-port,vxlan,macvlan,ipvlan,vlan,vrf,tun,veth,other'.split(',')

function exported(folder: string, pattern: RegExp): string[] {
  const directory = new URL(folder, import.meta.url)
  const files = readdirSync(directory).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const names = files
    .filter(name => name !== 'rows.ts')
    .flatMap(name => [...readFileSync(new URL(name, directory), 'utf8').matchAll(pattern)].map(match => match[1] ?? ''))
  return names.sort()
}

test('every codec of this folder is under the laws', () => {
  assert.equal(exported('./', /^export function encode(\w+)\(/gm), [...MESSAGES].sort())
  assert.equal(exported('./', /^export function decode(\w+)\(/gm), [...MESSAGES].sort())
  const files = readdirSync(new URL('kinds/', import.meta.url)).map(name => name.replace(/\.ts$/, ''))
  assert.equal(files.sort(), [...KINDS].sort())
})

test('the samples use every field', () => {
  const used = new Set(MESSAGES.length === 0 ? [] : allKeys([LINK, INFOS, ADDRESS, ROUTE, MULTIPATH, NEIGHBOUR, RULE]))
  for (const key of allKeys([links.samples, BRIDGE_LINK, VLAN_LIST, NETNS_ID, VXLAN6, tcs.samples])) used.add(key)
  const declared = exported('./', /^ {2}readonly (\w+)\??:/gm).concat(exported('kinds/', /^ {2}readonly (\w+)\??:/gm))
  const missing = [...new Set(declared)].filter(name => !used.has(name) && !name.startsWith('unknown'))
  assert.equal(missing, [])
})

function allKeys(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(allKeys)
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]) => [name, ...allKeys(field)])
}

test('encoding refuses what does not fit', () => {
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, name: 'abcdefghijklmnop' }))
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, name: 'ééééééééé' }))
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, name: 'a\0b' }))
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, mtu: -1 }))
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, mtu: 2 ** 32 }))
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, mtu: 1.5 }))
  refusesToEncode(() => encodeAddress({ ...ADDRESS, prefixLength: 256 }))
  refusesToEncode(() => encodeRoute({ ...EMPTY_ROUTE, nextHops: [] }))
  const macvlan: MacvlanInfo = { kind: 'macvlan', macs: [new Uint8Array(5)] }
  refusesToEncode(() => encodeLink({ ...EMPTY_LINK, linkInfo: { kind: 'macvlan', macvlan } }))
})

test('errors name the attribute', () => {
  const bytes = encodeLink({ ...EMPTY_LINK, unknown: [{ type: 4, flags: 0, value: new Uint8Array(3) }] })
  throwsLike(() => decodeLink(bytes), { name: 'DecodeError', message: /^decode IFLA_MTU: needs 4 bytes, got 3$/ })
  throwsLike(() => decodeLink(new Uint8Array(15)), { name: 'DecodeError', message: /^decode ifinfomsg: / })
})

test('a number without a name stays as it came', () => {
  const unknown = [{ type: 1, flags: 0, value: new Uint8Array([99, 0, 0, 0]) }]
  const macvlan: MacvlanInfo = { kind: 'macvlan', unknown }
  const bytes = encodeLink({ ...EMPTY_LINK, linkInfo: { kind: 'macvlan', macvlan } })
  const decoded = decodeLink(bytes)
  assert.is(decoded.linkInfo?.macvlan?.mode, undefined)
  assert.equal(encodeLink(decoded), bytes)
})

function goldenValue(codec: string, bytes: Uint8Array): [unknown, unknown] {
  const both = <T>(one: Codec<T>): [unknown, unknown] => {
    const value = one.decode(bytes)
    return [plain(value), plain(one.decode(one.encode(value)))]
  }
  switch (codec) {
    case 'Link':
      return both(links)
    case 'Address':
      return both(addresses)
    case 'Route':
      return both(routes)
    case 'Neighbour':
      return both(neighbours)
    case 'Rule':
      return both(rules)
    case 'BridgeLink':
      return both(bridgeLinks)
    case 'VlanMessage':
      return both(vlanMessages)
    case 'Tc':
      return both(tcs)
    default:
      throw new Error(`a golden file names the codec ${codec}`)
  }
}

test('what iproute2 and the kernel send is understood', () => {
  const goldens = readGoldens(new URL('testdata/', import.meta.url))
  assert.ok(goldens.length >= 30, `${goldens.length} golden messages`)
  for (const golden of goldens) {
    const [decoded, again] = goldenValue(golden.codec, golden.bytes)
    assert.equal(decoded, golden.json, golden.title)
    assert.equal(again, decoded, `${golden.title}: decoded, encoded and decoded again`)
  }
})

test.run()
