/** Outcomes that a namespace's routing gives: what the kernel says when it is asked where it would send the packet. */
import { formatAddress, type IpAddress, isLoopback } from '../../lib/ip/address.ts'
import type { LinkView, NamespaceView } from '../../lib/view/model.ts'
import { type Journey, lost, nameOf, type Outcome, placeOf } from './outcome.ts'
import type { Way } from './surroundings.ts'
import type { Sighting } from './watch.ts'

/** The kernel would not send it from where it was to start. */
export function refusedAtStart(journey: Journey): Outcome {
  const { from, probe, refusal } = journey
  const way = placeOf(journey, from).wayTo(probe.destination)
  if (refusal === 'EMSGSIZE')
    return lost(
      `MTU ${String(way.link?.mtu ?? 0)} of ${way.link?.name ?? 'the interface'} in ${nameOf(from)}: the packet of ${String(probe.size)} bytes is larger and must not be fragmented`,
      [],
      'send smaller packets, or give the interface and all that follow a larger MTU'
    )
  return (
    wayless(journey, from) ??
    lost(
      `the kernel of ${nameOf(from)} refuses to send it: ${refusal}`,
      [],
      'compare routes and rules there: ip route, ip rule'
    )
  )
}

/** Where no way leads from here to where the packet goes. @returns undefined when one does */
export function wayless(journey: Journey, namespace: NamespaceView, incoming?: Sighting): Outcome | undefined {
  const destination = incoming?.packet.destination ?? journey.probe.destination
  const given = incoming === undefined ? undefined : { source: incoming.packet.source, link: incoming.link }
  const way = placeOf(journey, namespace).wayTo(destination, given)
  const [to, where] = [formatAddress(destination), nameOf(namespace)]
  if (['blackhole', 'unreachable', 'prohibit'].includes(way.type) || way.errno === 'EACCES')
    return lost(
      `a route of ${where} refuses ${to}`,
      [`route of type ${way.type === '' ? 'prohibit' : way.type}`],
      'remove it there: ip route'
    )
  if (way.errno === '') return undefined
  return noRoute(journey, namespace, destination, way)
}

function noRoute({ view }: Journey, namespace: NamespaceView, destination: IpAddress, way: Way): Outcome {
  const { family } = destination
  const to = formatAddress(destination)
  const lo = namespace.links.find(link => link.name === 'lo')
  if (isLoopback(destination) && lo?.isUp === false)
    return lost(`lo of ${nameOf(namespace)} is down`, ['ip link show lo: down'], 'ip link set lo up, there')
  const hasDefault = namespace.routes.some(route => route.dst === 'default' && route.family === family)
  const evidence = [`ip route get ${to}: ${way.errno}`, ...routesOf(namespace, family)]
  const owners = new Set(namespace.links.flatMap(link => link.owner?.network ?? []))
  const networks = view.networks.filter(network => owners.has(network.name)).map(network => network.name)
  const what = `no route in ${nameOf(namespace)} leads to ${to}`
  if (hasDefault || namespace.isHost) return lost(what, evidence, `add one there: ip route add ${to} ...`)
  if (networks.length === 0)
    return lost(`${what}: it has no default route`, evidence, 'add one there: ip route add default via GATEWAY')
  const [names, verb] = [networks.join(', '), networks.length === 1 ? 'is' : 'are']
  return lost(
    `${what}: network ${names} ${verb} internal, with no way out`,
    evidence,
    'attach it to a network that is not internal: patchbay network connect'
  )
}

function routesOf({ routes }: NamespaceView, family: 4 | 6): readonly string[] {
  const own = routes.filter(route => route.family === family)
  if (own.length === 0) return ['there are no routes']
  return own
    .slice(0, 4)
    .map(({ dst, gateway, link }) => `route ${dst}${gateway === '' ? '' : ` via ${gateway}`} dev ${link}`)
}

/** Linux drops what comes in by another interface than it would answer by. @returns undefined where it does not */
export function returnPath(journey: Journey, { namespace, link, packet }: Sighting): Outcome | undefined {
  if (packet.source.family === 6) return undefined
  const place = placeOf(journey, namespace)
  const filter = place.returnPathFilter(link)
  if (filter === 0) return undefined
  const back = place.wayTo(packet.source)
  const isOwn = back.type === 'local'
  if (!isOwn && back.errno === '' && (filter === 2 || back.link?.index === link.index || isOver(back.link, link)))
    return undefined
  const source = formatAddress(packet.source)
  return lost(
    `rp_filter of ${nameOf(namespace)} drops it: ${source} comes in by ${link.name}, and is routed by ${isOwn ? 'lo' : (back.link?.name ?? 'nothing')}`,
    [
      `rp_filter ${String(filter)} on ${link.name}`,
      `ip route get ${source}: ${isOwn ? 'local' : back.errno === '' ? `dev ${back.link?.name ?? ''}` : back.errno}`
    ],
    filter === 1
      ? `sysctl -w net.ipv4.conf.${link.name}.rp_filter=2 and net.ipv4.conf.all.rp_filter=2, or route ${source} by ${link.name}`
      : `add a route to ${source}`
  )
}

/** A port belongs to what it is a port of. */
function isOver(routed: LinkView | undefined, link: LinkView): boolean {
  return routed !== undefined && link.master === routed.index
}
