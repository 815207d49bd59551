/** A bridge on the host: made once, shared by all containers of its networks. */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { formatMac } from '../ip/mac.ts'
import type { Link, LinkKind } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { distrustNeighbours, listensToRouters } from '../net/trust.ts'
import { errnoOf } from '../sys/errors.ts'

/** What a bridge has to be. */
export interface BridgeDevice {
  readonly name: string
  /** The MAC address it gets when it is made. */
  readonly mac: Uint8Array
  /** bytes; undefined leaves it as it is */
  readonly mtu: number | undefined
  readonly vlanFiltering: boolean
  readonly promiscuous: boolean
  /** The group of links that it is made in; 0 = none. */
  readonly groupId: number
  /** Called with a bridge that has just been made. */
  readonly made: (bridge: Link) => void
}

/**
 * Makes the bridge, or brings the one that is there in line with what is wanted.
 *
 * A bridge left alone takes the lowest MAC of its ports and so changes its own whenever a container comes or goes;
 * every neighbour then sends to a MAC that is gone until its cache runs out. So it gets one at birth.
 *
 * @throws {CniError} code 7 when an interface that is no bridge has the name
 */
export function ensureBridgeDevice(host: Net, wanted: BridgeDevice): Link {
  const existing = host.links.find(wanted.name)
  const bridge = existing ?? addBridge(host, wanted)
  if (bridge.info.kind !== 'bridge') throw notABridge(wanted.name, bridge)
  if (existing === undefined || !hasUplink(host, bridge)) distrustNeighbours(host, bridge)
  if (existing === undefined) {
    beHeardAtOnce(host, bridge.name)
    const tell = wanted.made
    tell(bridge)
  }
  return reconcile(host, bridge, wanted)
}

/**
 * Before the first port is up. The bridge's link-local address is what a container's MAC is asked for with when a packet is forwarded
 * to it (net/ipv6/ndisc.c, ndisc_send_ns). As long as that is being checked for duplicates, up to two seconds, nothing is asked, and
 * the first connection to a published port of IPv6 waits for its second try. The MAC is made for this bridge, so that no other has it;
 * that of an overlay is on every host on purpose, and another owner would be found.
 */
function beHeardAtOnce(host: Net, name: string): void {
  host.sysctls.writeIfPresent([{ path: `ipv6/conf/${name}/accept_dad`, value: '0' }])
}

/**
 * Ten containers that start at once all find no bridge; nine of them then find that it exists.
 *
 * The MTU is set afterwards: one given at birth lasts until the last port leaves, and then falls back to 1500
 * (net/bridge/br_if.c br_mtu_auto_adjust), while one that was set stays.
 */
function addBridge(host: Net, wanted: BridgeDevice): Link {
  const kind: LinkKind = { kind: 'bridge', vlanFiltering: wanted.vlanFiltering ? true : undefined }
  try {
    const groupId = wanted.groupId === 0 ? undefined : wanted.groupId
    return host.links.add({ name: wanted.name, kind, mac: wanted.mac, groupId, up: true })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    return host.links.get(wanted.name)
  }
}

/**
 * The address to give a bridge that somebody else made, so that it keeps it: setting it, even to what it is, ends its
 * following of the ports. A bridge that never had a port may have none at all.
 */
function macToPin(bridge: Link, mine: Uint8Array): Uint8Array | undefined {
  const mac = formatMac(bridge.mac ?? mine)
  if (mac === formatMac(mine)) return undefined
  return mac === '00:00:00:00:00:00' ? mine : bridge.mac
}

function notABridge(name: string, link: Link): CniError {
  return new CniError(
    INVALID_CONFIG,
    `use bridge ${JSON.stringify(name)}: an interface of kind ${JSON.stringify(link.kind ?? 'device')} has this name`,
    'name another bridge in the key "bridge", or remove that interface'
  )
}

/**
 * Whether a bridge that was there before leads out of this host. Such a one may be how the host itself learns its IPv6
 * addresses and routes, from the routers of that network: what it listens to is for whoever made it.
 */
function hasUplink(host: Net, bridge: Link): boolean {
  // Closed already, as on every ADD but the first: no need to look at all links.
  if (!listensToRouters(bridge)) return false
  return host.links.list().some(link => link.masterIndex === bridge.index && !isOfContainers(link))
}

/** The kinds of link that containers and virtual machines are plugged in by. */
function isOfContainers(link: Link): boolean {
  return link.kind === 'veth' || link.kind === 'tun'
}

/**
 * What is wanted and an existing bridge lacks is set; what nobody asks for stays, because another network may have
 * asked for it on the same bridge.
 */
function reconcile(host: Net, bridge: Link, wanted: BridgeDevice): Link {
  const wantsFiltering = wanted.vlanFiltering && !(bridge.info.kind === 'bridge' && bridge.info.vlanFiltering === true)
  const wantsMtu = wanted.mtu !== undefined && wanted.mtu !== bridge.mtu
  const wantsPromisc = wanted.promiscuous && !bridge.isPromiscuous
  const mac = macToPin(bridge, wanted.mac)
  if (bridge.isUp && mac === undefined && !wantsFiltering && !wantsMtu && !wantsPromisc) return bridge
  host.links.set(bridge.index, {
    up: true,
    mac,
    mtu: wantsMtu ? wanted.mtu : undefined,
    promiscuous: wantsPromisc ? true : undefined,
    vlanFiltering: wantsFiltering ? true : undefined
  })
  return host.links.get(wanted.name)
}
