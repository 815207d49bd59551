/** Outcomes of the wire: nobody answers for an address, a bridge does not pass a frame on. */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { LinkView, NamespaceView } from '../../lib/view/model.ts'
import { type Journey, lost, nameOf, type Outcome, placeOf } from './outcome.ts'
import { linkWith, ownersOf } from './surroundings.ts'
import { dropped } from './verdicts.ts'
import type { Judged, Sighting } from './watch.ts'

/** Who has the address that a packet goes to next, and by which port of a bridge it hangs. */
interface Target {
  readonly namespace: NamespaceView
  readonly link: LinkView
  /** The other end of its veth pair; undefined where it has none. */
  readonly port: { readonly namespace: NamespaceView; readonly link: LinkView } | undefined
}

/** @returns undefined where nobody was asked for, or somebody was found */
export function neighbourless(
  journey: Journey,
  namespace: NamespaceView,
  link: LinkView,
  address: IpAddress
): Outcome | undefined {
  if (link.name === 'lo' || ['wireguard', 'tun', 'ipip', 'sit', 'gre'].includes(link.kind)) return undefined
  const { state, mac } = placeOf(journey, namespace).neighbour(link, address)
  // Without an entry it never came so far that somebody was asked for.
  if (state === 'none' || (mac !== undefined && state !== 'failed' && state !== 'incomplete')) return undefined
  const text = formatAddress(address)
  const evidence = [`ip neigh show ${text} dev ${link.name}: ${state}`]
  const what = `no neighbour ${text} on ${link.name} of ${nameOf(namespace)}`
  const unasked = journey.steps.find(
    (step): step is Judged => step.kind === 'judged' && step.packet.role === 'question'
  )
  if (unasked !== undefined) {
    const rule = dropped(journey, unasked)
    return { ...rule, what: `${what}: ${rule.what}`, evidence: [...evidence, ...rule.evidence] }
  }
  const target = targetAt(journey, address)
  if (target === undefined)
    return lost(
      `${what}: nobody here has this address`,
      evidence,
      'is the container gone? Look at patchbay map; if it is on another host, at that host'
    )
  const cause = overParent(namespace, link, target) ?? whyNotHeard(portOf(journey, namespace, link), target)
  return lost(`${what}: ${cause.what}`, [...evidence, ...cause.evidence], cause.remedy)
}

type Cause = Omit<Outcome, 'works'>

function targetAt(journey: Journey, address: IpAddress): Target | undefined {
  const [namespace] = ownersOf(journey.view, address)
  const link = namespace === undefined ? undefined : linkWith(namespace, address)
  if (namespace === undefined || link === undefined) return undefined
  return { namespace, link, port: otherEnd(journey, link) }
}

function otherEnd({ view }: Journey, link: LinkView): Target['port'] {
  const namespace = view.namespaces.find(one => one.id === link.peer?.namespace)
  const other = namespace?.links.find(one => one.index === link.peer?.index)
  return link.kind !== 'veth' || namespace === undefined || other === undefined ? undefined : { namespace, link: other }
}

/** By which port of a bridge a link reaches its neighbours: itself when it is the bridge. */
function portOf(journey: Journey, namespace: NamespaceView, link: LinkView): Target['port'] {
  return link.kind === 'bridge' ? { namespace, link } : otherEnd(journey, link)
}

/** Why the question does not reach the target, or its answer not the asker. */
function whyNotHeard(asker: Target['port'], { namespace, link, port }: Target): Cause {
  const whose = `${link.name} of ${nameOf(namespace)}`
  if (!link.isUp)
    return cause(
      `${whose} is down`,
      [`ip link show ${link.name}: down`],
      `ip link set ${link.name} up, in ${nameOf(namespace)}`
    )
  if (port !== undefined && !port.link.isUp)
    return cause(
      `${port.link.name}, the host's end of it, is down`,
      [`ip link show ${port.link.name}: down`],
      `ip link set ${port.link.name} up`
    )
  if (asker !== undefined && !asker.link.isUp)
    return cause(
      `${asker.link.name} is down`,
      [`ip link show ${asker.link.name}: down`],
      `ip link set ${asker.link.name} up`
    )
  const apart = asker === undefined || port === undefined ? undefined : whyApart(asker.link, port.link, port.namespace)
  return (
    apart ??
    cause(
      `${whose} has it, and does not answer`,
      [],
      'look for rules of families arp, bridge and netdev, and for VLAN filtering: nft list ruleset, bridge vlan'
    )
  )
}

/** A macvlan or ipvlan and the interface that it hangs over do not hear each other: a rule of the kernel, not a fault. */
function overParent(namespace: NamespaceView, link: LinkView, target: Target): Cause | undefined {
  const hangsOver = (child: LinkView, at: NamespaceView, parent: LinkView): boolean =>
    /^(?:macvlan|ipvlan)$/.test(child.kind) && child.peer?.namespace === at.id && child.peer.index === parent.index
  const isOver = hangsOver(link, target.namespace, target.link) || hangsOver(target.link, namespace, link)
  if (!isOver) return undefined
  const [child, parent] = link.kind.endsWith('vlan') ? [link, target.link] : [target.link, link]
  return cause(
    `${child.kind} ${child.name} hangs over ${parent.name}, and the kernel passes nothing between the two`,
    [`ip -d link show ${child.name}: ${child.kind}, over ${parent.name}`],
    `give the host a ${child.kind} of its own over ${parent.name} with an address of the network, or use a network of driver bridge`
  )
}

function whyApart(asker: LinkView, port: LinkView, namespace: NamespaceView): Cause | undefined {
  const bridgeOf = (link: LinkView): number => (link.kind === 'bridge' ? link.index : link.master)
  const nameAt = (index: number): string => namespace.links.find(one => one.index === index)?.name ?? 'no bridge'
  if (asker.isIsolated && port.isIsolated)
    return cause(
      `both hang on isolated ports of ${nameAt(bridgeOf(port))}`,
      [asker, port].map(one => `bridge -d link show dev ${one.name}: isolated on`),
      `bridge link set dev ${port.name} isolated off; or, if they may not talk to each other, leave it`
    )
  if (bridgeOf(asker) === bridgeOf(port)) return undefined
  return cause(
    `they are not on one bridge: ${asker.name} is on ${nameAt(bridgeOf(asker))}, ${port.name} on ${nameAt(bridgeOf(port))}`,
    [asker, port].map(one => `ip link show ${one.name}: master ${nameAt(bridgeOf(one))}`),
    `ip link set ${port.name} master ${nameAt(bridgeOf(asker))}, or attach both to one network`
  )
}

function cause(what: string, evidence: readonly string[], remedy: string): Cause {
  return { what, evidence, remedy }
}

/** A frame came in by a port of a bridge, or was given to the bridge, and left by no port. */
export function lostOnBridge(journey: Journey, last: Sighting, next: IpAddress): Outcome {
  const { namespace, link } = last
  const bridge = link.kind === 'bridge' ? link : namespace.links.find(one => one.index === link.master)
  const target = targetAt(journey, next)
  const where = `bridge ${bridge?.name ?? ''} of ${nameOf(namespace)}`
  if (bridge !== undefined && !bridge.isUp)
    return lost(`${where} is down`, [`ip link show ${bridge.name}: down`], `ip link set ${bridge.name} up`)
  const port = target?.port?.link
  if (port !== undefined && port.mtu < last.length)
    return lost(
      `MTU ${String(port.mtu)} of ${port.name}, packet ${String(last.length)} bytes: ${where} drops it, and no bridge tells the sender`,
      [`ip link show ${port.name}: mtu ${String(port.mtu)}`],
      `give all interfaces of the network one MTU: ip link set ${port.name} mtu ${String(link.mtu)}`
    )
  if (target === undefined)
    return lost(`${where} passes it on to nobody`, [], 'look at bridge fdb, bridge vlan, and rules of family bridge')
  const { what, evidence, remedy } = whyNotHeard({ namespace, link }, target)
  return lost(`${where} does not pass it on: ${what}`, evidence, remedy)
}
