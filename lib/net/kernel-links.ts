/**
 * Links by rtnetlink: find, make, change, remove; bridge ports and their VLANs.
 *
 * @source linux/if_link.h, linux/if_bridge.h; net/core/rtnetlink.c rtnl_newlink, do_setlink
 */
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import {
  AF_BRIDGE,
  decodeLink,
  EMPTY_LINK,
  encodeLink,
  IFF_ALLMULTI,
  IFF_PROMISC,
  IFF_UP,
  type LinkInfoAttribute,
  type LinkMessage,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK
} from '../netlink/rt/link.ts'
import {
  BRIDGE_FLAGS_SELF,
  BRIDGE_VLAN_INFO_PVID,
  BRIDGE_VLAN_INFO_RANGE_BEGIN,
  BRIDGE_VLAN_INFO_RANGE_END,
  BRIDGE_VLAN_INFO_UNTAGGED,
  decodeVlanMessage,
  encodeBridgeLink,
  encodeVlanMessage,
  RTM_GETVLAN,
  type VlanEntry
} from '../netlink/rt/vlan.ts'
import { errnoOf, KernelError } from './errors.ts'
import type {
  BridgeInfo,
  BridgePort,
  BridgeVlan,
  IpvlanMode,
  Link,
  LinkChange,
  LinkInfo,
  LinkKind,
  MacvlanInfo,
  MacvlanMode,
  NewLink,
  OperState,
  OtherInfo,
  VethPeer,
  VxlanInfo
} from './net.ts'
import { type Answer, type Request, type Rtnetlink, refusal } from './rtnetlink.ts'

const OPER_STATES: readonly OperState[] = [
  'unknown',
  'not-present',
  'down',
  'lower-layer-down',
  'testing',
  'dormant',
  'up'
]

/** A link that is only known by its number, in an error's words. */
export function linkNumber(index: number): string {
  return `link ${String(index)}`
}

function quoted(name: string): string {
  return JSON.stringify(name)
}

function linkOf(payload: Uint8Array): Link {
  const message = decodeLink(payload, false)
  const info = message.linkInfo
  return {
    index: message.index,
    name: message.name ?? '',
    flags: message.flags,
    isUp: (message.flags & IFF_UP) !== 0,
    mtu: message.mtu ?? 0,
    mac: message.mac === undefined || message.mac.length === 0 ? undefined : message.mac,
    masterIndex: message.masterIndex,
    // sit0 and its like say 0: by no particular link.
    parentIndex: message.parentIndex === 0 ? undefined : message.parentIndex,
    linkNetnsId: message.linkNetnsId,
    alias: message.alias,
    altNames: message.properties?.altNames ?? [],
    txQueueLength: message.txQueueLength ?? 0,
    promiscuity: message.promiscuity ?? 0,
    isPromiscuous: (message.flags & IFF_PROMISC) !== 0,
    isAllMulticast: (message.flags & IFF_ALLMULTI) !== 0,
    groupId: message.groupId ?? 0,
    operState: OPER_STATES[message.operState ?? 0] ?? 'unknown',
    kind: info?.kind,
    info: linkInfoOf(info),
    port: info?.port
  }
}

function linkInfoOf(info: LinkInfoAttribute | undefined): LinkInfo {
  const none: OtherInfo = { kind: 'other' }
  if (info === undefined) return none
  if (info.bridge !== undefined) return info.bridge
  if (info.vxlan !== undefined) return info.vxlan
  if (info.macvlan !== undefined) return info.macvlan
  if (info.ipvlan !== undefined) return info.ipvlan
  if (info.vlan !== undefined) return info.vlan
  if (info.vrf !== undefined) return info.vrf
  if (info.tun !== undefined) return info.tun
  return info.other ?? none
}

export function listLinks(rt: Rtnetlink): readonly Link[] {
  const payload = encodeLink({ ...EMPTY_LINK, extMask: RTEXT_FILTER_SKIP_STATS })
  return rt.dump('list', 'links', RTM_GETLINK, payload).map(linkOf)
}

function getRequest(operation: string, object: string, by: LinkMessage): Request {
  const payload = encodeLink({ ...by, extMask: RTEXT_FILTER_SKIP_STATS })
  return { operation, object, type: RTM_GETLINK, flags: 0, payload, answer: 'message' }
}

/** @throws {KernelError} ENODEV */
export function getLink(rt: Rtnetlink, name: string): Link {
  return onlyLink(rt.request(getRequest('get link', quoted(name), { ...EMPTY_LINK, name })), quoted(name))
}

export function findLink(rt: Rtnetlink, name: string): Link | undefined {
  return firstLink(rt, getRequest('find link', quoted(name), { ...EMPTY_LINK, name }))
}

export function findLinkByIndex(rt: Rtnetlink, index: number): Link | undefined {
  if (index <= 0) return undefined
  return firstLink(rt, getRequest('find', linkNumber(index), { ...EMPTY_LINK, index }))
}

function firstLink(rt: Rtnetlink, request: Request): Link | undefined {
  const answer = rt.attempt(request)
  if (answer.errno === 'ENODEV') return undefined
  if (answer.errno !== '') throw refusal(answer)
  return onlyLink(answer.payloads, request.object)
}

function onlyLink(payloads: readonly Uint8Array[], object: string): Link {
  const payload = payloads[0]
  if (payload === undefined) throw new KernelError('get link', object, 'ENODEV', 'the kernel sent none', '')
  return linkOf(payload)
}

/**
 * Makes a link; when it is made in this namespace, the same send asks for it.
 *
 * @returns undefined when it was made in another namespace, where the caller asks for it
 */
export function addLink(rt: Rtnetlink, link: NewLink): Link | undefined {
  const object = quoted(link.name)
  const add: Request = {
    operation: 'add link',
    object,
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeLink(newLinkMessage(link)),
    answer: 'acknowledgement'
  }
  if (link.netns !== undefined) {
    const answer = rt.attempt(add)
    if (answer.errno !== '') throw linkRefusal(answer, link.kind.kind)
    return undefined
  }
  const answers = rt.exchange([add, getRequest('get link', object, { ...EMPTY_LINK, name: link.name })])
  for (const answer of answers) if (answer.errno !== '') throw linkRefusal(answer, link.kind.kind)
  return onlyLink(answers[1]?.payloads ?? [], object)
}

/** A kernel that lacks the kind says only "Operation not supported": tell what would bring it. */
function linkRefusal(answer: Answer, kind: string): KernelError {
  if (answer.errno !== 'EOPNOTSUPP') return refusal(answer)
  const { operation, object } = answer.request
  const need = `links of kind ${quoted(kind)} need ${kernelOption(kind)}`
  return new KernelError(operation, object, answer.errno, need, answer.extack)
}

/** @source drivers/net/Kconfig, net/8021q/Kconfig, net/bridge/Kconfig */
function kernelOption(kind: string): string {
  switch (kind) {
    case 'vlan':
      return 'CONFIG_VLAN_8021Q in the kernel (modprobe 8021q)'
    case 'vrf':
      return 'CONFIG_NET_VRF in the kernel (modprobe vrf)'
    default:
      return `CONFIG_${kind.toUpperCase()} in the kernel (modprobe ${kind})`
  }
}

function newLinkMessage(link: NewLink): LinkMessage {
  return {
    ...EMPTY_LINK,
    flags: link.up === true ? IFF_UP : 0,
    change: link.up === undefined ? 0 : IFF_UP,
    mac: link.mac,
    name: link.name,
    mtu: link.mtu,
    parentIndex: parentOf(link.kind),
    masterIndex: link.masterIndex,
    txQueueLength: link.txQueueLength,
    linkInfo: newLinkInfo(link),
    groupId: link.groupId,
    netnsFd: link.netns === undefined ? undefined : link.netns.namespaceFd()
  }
}

/** The link below, where the kind has one as an attribute of the link itself. */
function parentOf(kind: LinkKind): number | undefined {
  return kind.kind === 'macvlan' || kind.kind === 'ipvlan' || kind.kind === 'vlan' ? kind.parentIndex : undefined
}

function newLinkInfo(link: NewLink): LinkInfoAttribute {
  const { kind } = link
  switch (kind.kind) {
    case 'veth': {
      const { peer } = kind
      if (peer === undefined) throw incomplete(link, 'peer')
      return { kind: 'veth', veth: { kind: 'veth', peer: encodeLink(peerMessage(link, peer)) } }
    }
    case 'macvlan':
      return { kind: 'macvlan', macvlan: macvlanInfo(kind) }
    case 'ipvlan':
      return { kind: 'ipvlan', ipvlan: { kind: 'ipvlan', mode: kind.mode as IpvlanMode | undefined, flag: kind.flag } }
    case 'vlan':
      return { kind: 'vlan', vlan: { kind: 'vlan', id: kind.id } }
    case 'bridge':
      return { kind: 'bridge', bridge: bridgeInfo(kind) }
    case 'vxlan':
      return { kind: 'vxlan', vxlan: vxlanInfo(kind) }
    case 'vrf':
      return { kind: 'vrf', vrf: { kind: 'vrf', table: kind.table } }
    default:
      return { kind: kind.kind }
  }
}

function incomplete(link: NewLink, option: string): KernelError {
  return new KernelError('add link', quoted(link.name), 'EINVAL', `kind "${link.kind.kind}" needs ${option}`, '')
}

function macvlanInfo(kind: LinkKind): MacvlanInfo {
  return {
    kind: 'macvlan',
    mode: kind.mode as MacvlanMode | undefined,
    macsMode: kind.macs === undefined ? undefined : 'set',
    macs: kind.macs,
    bcQueueLength: kind.bcQueueLength
  }
}

function bridgeInfo(kind: LinkKind): BridgeInfo {
  return {
    kind: 'bridge',
    forwardDelay: kind.forwardDelay,
    ageingTime: kind.ageingTime,
    stp: kind.stp,
    priority: kind.priority,
    vlanFiltering: kind.vlanFiltering,
    groupForwardMask: kind.groupForwardMask,
    multicastSnooping: kind.multicastSnooping,
    vlanDefaultPvid: kind.vlanDefaultPvid
  }
}

function vxlanInfo(kind: LinkKind): VxlanInfo {
  return {
    kind: 'vxlan',
    id: kind.id,
    group: kind.group,
    parentIndex: kind.parentIndex,
    local: kind.local,
    ttl: kind.ttl,
    tos: kind.tos,
    learning: kind.learning,
    ageing: kind.ageing,
    limit: kind.limit,
    sourcePorts: kind.sourcePorts,
    proxy: kind.proxy,
    routeShortCircuit: kind.routeShortCircuit,
    l2miss: kind.l2miss,
    l3miss: kind.l3miss,
    port: kind.port,
    udpChecksum: kind.udpChecksum,
    udpZeroChecksum6Tx: kind.udpZeroChecksum6Tx,
    udpZeroChecksum6Rx: kind.udpZeroChecksum6Rx,
    gbp: kind.gbp,
    collectMetadata: kind.collectMetadata,
    label: kind.label,
    df: kind.df
  }
}

/** The other end. Without a namespace of its own the kernel would make it in the asker's, not beside the first end. */
function peerMessage(link: NewLink, peer: VethPeer): LinkMessage {
  const netns = peer.netns ?? link.netns
  return {
    ...EMPTY_LINK,
    mac: peer.mac,
    name: peer.name,
    mtu: peer.mtu,
    netnsFd: netns === undefined ? undefined : netns.namespaceFd()
  }
}

/**
 * Sets a link up that is known by its name alone: the far end of a veth pair. The kernel configures that end before
 * it ties the two together, so it cannot be made up (ENOTCONN).
 */
export function setUpByName(rt: Rtnetlink, name: string): void {
  changeLink(rt, 'set up link', quoted(name), { ...EMPTY_LINK, name, flags: IFF_UP, change: IFF_UP })
}

export function setLink(rt: Rtnetlink, index: number, change: LinkChange): void {
  const flag = (value: boolean | undefined, bit: number): number => (value === true ? bit : 0)
  const meant = (value: boolean | undefined, bit: number): number => (value === undefined ? 0 : bit)
  const bridge = change.vlanFiltering !== undefined || change.vlanDefaultPvid !== undefined
  const { vlanFiltering, vlanDefaultPvid } = change
  const message: LinkMessage = {
    ...EMPTY_LINK,
    index,
    flags: flag(change.up, IFF_UP) | flag(change.promiscuous, IFF_PROMISC) | flag(change.allMulticast, IFF_ALLMULTI),
    change:
      meant(change.up, IFF_UP) | meant(change.promiscuous, IFF_PROMISC) | meant(change.allMulticast, IFF_ALLMULTI),
    mac: change.mac,
    name: change.name,
    mtu: change.mtu,
    masterIndex: change.masterIndex,
    txQueueLength: change.txQueueLength,
    linkInfo: bridge ? { kind: 'bridge', bridge: { kind: 'bridge', vlanFiltering, vlanDefaultPvid } } : undefined,
    alias: change.alias,
    groupId: change.groupId,
    netnsFd: change.netns === undefined ? undefined : change.netns.namespaceFd()
  }
  changeLink(rt, 'set', linkNumber(index), message)
}

export function setBridgePort(rt: Rtnetlink, index: number, port: BridgePort): void {
  const message: LinkMessage = { ...EMPTY_LINK, index, linkInfo: { slaveKind: 'bridge', port } }
  changeLink(rt, 'set bridge port', linkNumber(index), message)
}

/** RTM_NEWLINK without NLM_F_CREATE: RTM_SETLINK does not take what is particular to a kind. */
function changeLink(rt: Rtnetlink, operation: string, object: string, message: LinkMessage): void {
  const payload = encodeLink(message)
  rt.request({ operation, object, type: RTM_NEWLINK, flags: 0, payload, answer: 'acknowledgement' })
}

/** @returns false when there was none */
export function removeLink(rt: Rtnetlink, name: string): boolean {
  return removeBy(rt, quoted(name), { ...EMPTY_LINK, name })
}

export function removeLinkByIndex(rt: Rtnetlink, index: number): boolean {
  return removeBy(rt, linkNumber(index), { ...EMPTY_LINK, index })
}

function removeBy(rt: Rtnetlink, object: string, by: LinkMessage): boolean {
  const operation = by.index === 0 ? 'remove link' : 'remove'
  const payload = encodeLink(by)
  const answer = rt.attempt({ operation, object, type: RTM_DELLINK, flags: 0, payload, answer: 'acknowledgement' })
  if (answer.errno === '') return true
  if (answer.errno === 'ENODEV') return false
  throw refusal(answer)
}

/** One message per VLAN or range, so that an error says which one it is about. */
export function addBridgeVlans(rt: Rtnetlink, index: number, vlans: readonly BridgeVlan[]): void {
  const requests = vlans.map(vlan => vlanRequest('add', RTM_SETLINK, index, vlan))
  for (const answer of rt.exchange(requests)) if (answer.errno !== '') throw refusal(answer)
}

export function removeBridgeVlan(rt: Rtnetlink, index: number, vlan: BridgeVlan): void {
  rt.request(vlanRequest('remove', RTM_DELLINK, index, vlan))
}

function vlanRequest(verb: string, type: number, index: number, vlan: BridgeVlan): Request {
  const isRange = vlan.lastVid !== undefined && vlan.lastVid !== vlan.vid
  const range = isRange ? `${String(vlan.vid)}-${String(vlan.lastVid)}` : String(vlan.vid)
  const flags =
    (vlan.pvid === true ? BRIDGE_VLAN_INFO_PVID : 0) | (vlan.untagged === true ? BRIDGE_VLAN_INFO_UNTAGGED : 0)
  const vlans: VlanEntry[] = []
  if (isRange && vlan.lastVid !== undefined) {
    vlans.push({ flags: flags | BRIDGE_VLAN_INFO_RANGE_BEGIN, vid: vlan.vid })
    vlans.push({ flags: flags | BRIDGE_VLAN_INFO_RANGE_END, vid: vlan.lastVid })
  } else {
    vlans.push({ flags, vid: vlan.vid })
  }
  const spec = { flags: vlan.self === true ? BRIDGE_FLAGS_SELF : undefined, vlans }
  return {
    operation: `${verb} bridge vlan`,
    object: `${range} of ${linkNumber(index)}`,
    type,
    flags: 0,
    payload: encodeBridgeLink({ family: AF_BRIDGE, index, spec }),
    answer: 'acknowledgement'
  }
}

/** A kernel without VLAN filtering has no such request, and no VLANs to list. */
export function listBridgeVlans(rt: Rtnetlink, index: number): readonly BridgeVlan[] {
  const payload = encodeVlanMessage({ family: AF_BRIDGE, index, entries: [] })
  const vlans: BridgeVlan[] = []
  let answers: readonly Uint8Array[]
  try {
    answers = rt.dump('list bridge vlans', `of ${linkNumber(index)}`, RTM_GETVLAN, payload)
  } catch (error) {
    if (errnoOf(error) === 'EOPNOTSUPP') return []
    throw error
  }
  for (const answer of answers) {
    for (const entry of decodeVlanMessage(answer).entries) {
      if (entry.info === undefined) continue
      vlans.push({
        vid: entry.info.vid,
        lastVid: entry.lastVid,
        pvid: (entry.info.flags & BRIDGE_VLAN_INFO_PVID) !== 0,
        untagged: (entry.info.flags & BRIDGE_VLAN_INFO_UNTAGGED) !== 0
      })
    }
  }
  return vlans
}
