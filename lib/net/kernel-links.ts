/**
 * Links and bridge ports by rtnetlink.
 *
 * @source linux/if_link.h, linux/if_bridge.h; net/core/rtnetlink.c rtnl_newlink, do_setlink
 */

import { type Answer, type Conn, type Request, refusal } from '../netlink/conn.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import {
  ALTIFNAMSIZ,
  decodeLink,
  EMPTY_LINK,
  encodeLink,
  IFF_ALLMULTI,
  IFF_PROMISC,
  IFF_UP,
  IFNAMSIZ,
  type LinkInfoAttribute,
  type LinkMessage,
  questionAbout,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK
} from '../netlink/rt/link.ts'
import { errnoOf } from '../sys/errors.ts'
import { raiseLoopback } from '../sys/loopback-sockets.ts'
import { inNamespace } from '../sys/netns.ts'
import { randomBytes, randomU32 } from '../sys/random.ts'
import { createTap } from '../sys/tap.ts'
import {
  type BridgeInfo,
  type BridgePort,
  type IpvlanMode,
  type Link,
  type LinkChange,
  type LinkInfo,
  type LinkKind,
  type LinkPair,
  Links,
  type MacvlanInfo,
  type MacvlanMode,
  type NewLink,
  type NewTap,
  type OperState,
  type OtherInfo,
  type VethPeer,
  type VxlanInfo
} from './links.ts'
import type { Namespace } from './namespace.ts'

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

/** The link that a message of RTM_NEWLINK describes. @throws {DecodeError} */
export function linkOf(payload: Uint8Array): Link {
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
    families: message.families,
    permanentMac: message.permanentMac,
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

export class KernelLinks extends Links {
  readonly #conn: Conn
  readonly #namespaceFd: number

  constructor(conn: Conn, namespaceFd: number) {
    super()
    this.#conn = conn
    this.#namespaceFd = namespaceFd
  }

  override raiseLoopback(): boolean {
    return inNamespace(this.#namespaceFd, raiseLoopback)
  }

  override list(): readonly Link[] {
    const payload = questionAbout({ ...EMPTY_LINK, extMask: RTEXT_FILTER_SKIP_STATS })
    return this.#conn.dump('list', 'links', RTM_GETLINK, payload).map(linkOf)
  }

  override find(name: string): Link | undefined {
    return findByName(this.#conn, 'find link', name)
  }

  override get(name: string): Link {
    const link = findByName(this.#conn, 'get link', name)
    if (link === undefined) throw new KernelError('get link', quoted(name), 'ENODEV', 'No such device')
    return link
  }

  override findByIndex(index: number): Link | undefined {
    if (index <= 0) return undefined
    return firstLink(this.#conn, getRequest('find', linkNumber(index), { ...EMPTY_LINK, index }))
  }

  /** The same send asks for it. */
  override add(link: NewLink): Link {
    const object = quoted(link.name)
    const get = getRequest('get link', object, { ...EMPTY_LINK, name: link.name })
    const answers = this.#conn.batch([addRequest(link, undefined), get])
    for (const answer of answers) if (answer.errno !== '') throw linkRefusal(answer, link.kind)
    return onlyLink(answers[1]?.payloads ?? [], object)
  }

  override addPair(link: NewLink): LinkPair {
    const { peer } = link.kind
    if (peer === undefined) throw incomplete(link, 'peer')
    const whole: VethPeer = { ...peer, mac: peer.mac ?? randomMac() }
    const first = this.add({ ...link, kind: { ...link.kind, peer: whole } })
    return { first, peer: peerOf(first, whole) }
  }

  override addIn(netns: Namespace, link: NewLink): void {
    const answer = this.#conn.attempt(addRequest(link, netns))
    if (answer.errno !== '') throw linkRefusal(answer, link.kind)
  }

  override addTap(tap: NewTap): Link {
    try {
      inNamespace(this.#namespaceFd, () =>
        createTap(tap.name, tap.owner ?? -1, tap.group ?? -1, tap.multiQueue ?? false)
      )
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === '') throw error
      throw new KernelError('add tap', quoted(tap.name), errno, '')
    }
    return this.get(tap.name)
  }

  override set(index: number, change: LinkChange): void {
    this.#conn.execute(setLinkRequest(index, change))
  }

  override setPort(index: number, port: BridgePort): void {
    const message: LinkMessage = { ...EMPTY_LINK, index, linkInfo: { slaveKind: 'bridge', port } }
    this.#conn.execute(changeRequest('set bridge port', linkNumber(index), message))
  }

  override remove(name: string): boolean {
    return removeBy(this.#conn, quoted(name), { ...EMPTY_LINK, name })
  }

  override removeByIndex(index: number): boolean {
    return removeBy(this.#conn, linkNumber(index), { ...EMPTY_LINK, index })
  }

  /** A request names one link or a group of them: they are put into one of their own. */
  override removeTogether(indices: readonly number[]): void {
    // 0 is the group of all that are in none.
    const groupId = Math.max(1, randomU32())
    const answers = this.#conn.batch(indices.map(index => groupRequest(index, groupId)))
    for (const answer of answers) if (answer.errno !== '' && answer.errno !== 'ENODEV') throw refusal(answer)
    removeBy(this.#conn, `links of group ${String(groupId)}`, { ...EMPTY_LINK, groupId })
  }
}

/** What `Links.set` asks for. */
export function setLinkRequest(index: number, change: LinkChange): Request {
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
  return changeRequest('set', linkNumber(index), message)
}

function groupRequest(index: number, groupId: number): Request {
  return changeRequest('set group of', linkNumber(index), { ...EMPTY_LINK, index, groupId })
}

function getRequest(operation: string, object: string, by: LinkMessage): Request {
  const payload = questionAbout({ ...by, extMask: RTEXT_FILTER_SKIP_STATS })
  return { operation, object, type: RTM_GETLINK, flags: 0, payload, answer: 'message' }
}

/** A name that is too long for a first one is asked for by the attribute for alternative ones, as iproute2 does it. */
function findByName(conn: Conn, operation: string, name: string): Link | undefined {
  const size = new TextEncoder().encode(name).length
  if (size < IFNAMSIZ) return firstLink(conn, getRequest(operation, quoted(name), { ...EMPTY_LINK, name }))
  if (size >= ALTIFNAMSIZ) return undefined
  const request = getRequest(operation, quoted(name), { ...EMPTY_LINK, altName: name })
  const answer = conn.attempt(request)
  // Linux before 5.5 knows no such attribute: to it the request names no link at all.
  return answer.errno === 'EINVAL' ? undefined : linkOrNone(answer)
}

function firstLink(conn: Conn, request: Request): Link | undefined {
  return linkOrNone(conn.attempt(request))
}

function linkOrNone(answer: Answer): Link | undefined {
  if (answer.errno === 'ENODEV') return undefined
  if (answer.errno !== '') throw refusal(answer)
  return onlyLink(answer.payloads, answer.request.object)
}

function onlyLink(payloads: readonly Uint8Array[], object: string): Link {
  const payload = payloads[0]
  if (payload === undefined) throw new KernelError('get link', object, 'ENODEV', 'the kernel sent none')
  return linkOf(payload)
}

/** A kernel that lacks the kind or what is asked of it says only "Operation not supported": tell what would bring it. */
function linkRefusal(answer: Answer, kind: LinkKind): KernelError {
  if (answer.errno !== 'EOPNOTSUPP') return refusal(answer)
  const { operation, object } = answer.request
  const what = kind.vlanFiltering === true ? 'VLANs of bridges need' : `links of kind ${quoted(kind.kind)} need`
  const need = kind.vlanFiltering === true ? VLAN_FILTERING : kernelOption(kind.kind)
  return new KernelError(operation, object, answer.errno, `${what} ${need}; ${answer.explain()}`)
}

/** A bridge as such is there wherever this is refused (net/bridge/br_netlink.c br_changelink). */
const VLAN_FILTERING = 'CONFIG_BRIDGE_VLAN_FILTERING in the kernel'

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

function addRequest(link: NewLink, netns: Namespace | undefined): Request {
  return {
    operation: 'add link',
    object: quoted(link.name),
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeLink(newLinkMessage(link, netns)),
    answer: 'acknowledgement'
  }
}

function newLinkMessage(link: NewLink, netns: Namespace | undefined): LinkMessage {
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
    linkInfo: newLinkInfo(link, netns),
    groupId: link.groupId,
    netnsFd: netns === undefined ? undefined : netns.namespaceFd()
  }
}

/** The link below, where the kind has one as an attribute of the link itself. */
function parentOf(kind: LinkKind): number | undefined {
  return kind.kind === 'macvlan' || kind.kind === 'ipvlan' || kind.kind === 'vlan' ? kind.parentIndex : undefined
}

function newLinkInfo(link: NewLink, netns: Namespace | undefined): LinkInfoAttribute {
  const { kind } = link
  switch (kind.kind) {
    case 'veth': {
      const { peer } = kind
      if (peer === undefined) throw incomplete(link, 'peer')
      return { kind: 'veth', veth: { kind: 'veth', peer: encodeLink(peerMessage(peer, peer.netns ?? netns)) } }
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
  return new KernelError('add link', quoted(link.name), 'EINVAL', `kind "${link.kind.kind}" needs ${option}`)
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

/** As the kernel chooses one: locally administered, unicast. @source linux/etherdevice.h eth_random_addr */
function randomMac(): Uint8Array {
  const mac = randomBytes(6)
  mac[0] = ((mac[0] ?? 0) & 0xfe) | 0x02
  return mac
}

/** The other end as it was made: what the kernel chooses is the same for both. */
function peerOf(first: Link, { name, mac, mtu }: VethPeer): Link | undefined {
  if (first.parentIndex === undefined) return undefined
  const named: Link = { ...first, index: first.parentIndex, name, mac, mtu: mtu ?? first.mtu }
  const down: Link = { ...named, flags: 0, isUp: false, operState: 'down', parentIndex: first.index, promiscuity: 0 }
  return { ...down, masterIndex: undefined, linkNetnsId: undefined, families: undefined, port: undefined }
}

/** The other end. Without a namespace of its own the kernel would make it in the asker's, not beside the first end. */
function peerMessage(peer: VethPeer, netns: Namespace | undefined): LinkMessage {
  return {
    ...EMPTY_LINK,
    mac: peer.mac,
    name: peer.name,
    mtu: peer.mtu,
    netnsFd: netns === undefined ? undefined : netns.namespaceFd()
  }
}

/** RTM_NEWLINK without NLM_F_CREATE: RTM_SETLINK does not take what is particular to a kind. */
function changeRequest(operation: string, object: string, message: LinkMessage): Request {
  return { operation, object, type: RTM_NEWLINK, flags: 0, payload: encodeLink(message), answer: 'acknowledgement' }
}

function removeBy(conn: Conn, object: string, by: LinkMessage): boolean {
  const operation = by.index === 0 ? 'remove link' : 'remove'
  const payload = encodeLink(by)
  const answer = conn.attempt({ operation, object, type: RTM_DELLINK, flags: 0, payload, answer: 'acknowledgement' })
  if (answer.errno === '') return true
  if (answer.errno === 'ENODEV') return false
  throw refusal(answer)
}
