/** Outcomes that nobody says: the packet was seen somewhere, and nowhere behind. What is there tells why. */
import { formatAddress, type IpAddress, isLoopback } from '../../lib/ip/address.ts'
import { parsePrefix, prefixContains } from '../../lib/ip/prefix.ts'
import type { LinkView, NamespaceView } from '../../lib/view/model.ts'
import { socketText } from './listeners.ts'
import { lostOnBridge, neighbourless } from './neighbourless.ts'
import { type Journey, lost, nameOf, type Outcome, placeOf, reached } from './outcome.ts'
import type { Recognised } from './recognise.ts'
import { returnPath, wayless } from './refused.ts'
import { linkWith, ownersOf } from './surroundings.ts'
import { answered } from './verdicts.ts'
import type { Sighting } from './watch.ts'

/** Of the answer where one was seen, else of the probe. */
export function vanished(journey: Journey): Outcome {
  const back = lastOf(journey, 'answer')
  if (back === undefined) return whereLost(journey, lastOf(journey, 'request'))
  const { entry } = journey
  // The host would send it to where it came from, if somebody were there.
  if (
    entry !== undefined &&
    back.namespace.id === journey.from.id &&
    placeOf(journey, journey.from).wayTo(back.packet.destination).link?.index === entry.index
  )
    return answered(journey, back)
  const outcome = whereLost(journey, back)
  return { ...outcome, what: `the answer is lost: ${outcome.what}` }
}

function lastOf(journey: Journey, role: Recognised['role']): Sighting | undefined {
  const all = journey.steps.filter(step => step.kind === 'seen' && step.packet.role === role) as readonly Sighting[]
  // A bridge that does not know a MAC yet sends a copy to everybody, who ignore it.
  return all.findLast(one => one.direction !== 'foreign') ?? all.at(-1)
}

function whereLost(journey: Journey, last: Sighting | undefined): Outcome {
  if (last === undefined) return neverLeft(journey, journey.from)
  if (last.direction === 'out') return lostBehind(journey, last)
  if (last.link.master !== 0 && isBridgePort(last)) return lostOnBridge(journey, last, nextHop(journey, last))
  return lostInside(journey, last)
}

function isBridgePort({ namespace, link }: Sighting): boolean {
  return namespace.links.some(one => one.index === link.master && one.kind === 'bridge')
}

/** Whom the sender of a frame meant: its gateway, or the destination itself. */
function nextHop(journey: Journey, { packet }: Sighting): IpAddress {
  const sender = journey.steps.find(
    step => step.kind === 'seen' && step.packet.role === packet.role && step.direction === 'out'
  )?.namespace
  const way = sender === undefined ? undefined : journey.places.get(sender.id)?.wayTo(packet.destination)
  return way?.gateway ?? packet.destination
}

/** Sent, and seen at no interface: it waits for a neighbour. */
function neverLeft(journey: Journey, namespace: NamespaceView): Outcome {
  const { destination } = journey.probe
  return (
    waiting(journey, namespace, destination) ??
    lost(`it never left ${nameOf(namespace)}`, [], 'look for what the kernel does not tell of there: tc, eBPF')
  )
}

function waiting(journey: Journey, namespace: NamespaceView, destination: IpAddress): Outcome | undefined {
  const way = placeOf(journey, namespace).wayTo(destination)
  if (way.link === undefined) return wayless(journey, namespace)
  if (!way.link.isUp) return down(namespace, way.link)
  return neighbourless(journey, namespace, way.link, way.gateway ?? destination)
}

function down(namespace: NamespaceView, link: LinkView): Outcome {
  return lost(
    `${link.name} of ${nameOf(namespace)} is down`,
    [`ip link show ${link.name}: down`],
    `ip link set ${link.name} up, in ${nameOf(namespace)}`
  )
}

/** It left by an interface, and did not come in anywhere. */
function lostBehind(journey: Journey, last: Sighting): Outcome {
  const { namespace, link } = last
  if (link.kind === 'bridge') return lostOnBridge(journey, last, nextHop(journey, last))
  const far = journey.view.namespaces.find(one => one.id === link.peer?.namespace)
  const other = far?.links.find(one => one.index === link.peer?.index)
  if (link.kind === 'veth' && far !== undefined && other !== undefined) {
    if (!other.isUp) return down(far, other)
    return lost(
      `it left ${nameOf(namespace)} by ${link.name}, and did not come in at ${other.name} of ${nameOf(far)}`,
      [],
      'look for filters of tc and XDP on both: tc filter show, ip link'
    )
  }
  return untranslated(journey, last) ?? outOfSight(last)
}

/** RFC 1918, RFC 6598, RFC 4193 */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].flatMap(
  text => parsePrefix(text) ?? []
)

/** It went out with an address that only this host knows a way to. */
function untranslated(journey: Journey, { namespace, link, packet }: Sighting): Outcome | undefined {
  const { source } = packet
  const isKnownOutside = linkWith(namespace, source) !== undefined || ownersOf(journey.view, source).length === 0
  if (
    packet.role !== 'request' ||
    isKnownOutside ||
    !PRIVATE.some(prefix => prefix.address.family === source.family && prefixContains(prefix, source))
  )
    return undefined
  const text = formatAddress(source)
  return lost(
    `it left ${nameOf(namespace)} by ${link.name} as ${text}, and no answer came: nothing masquerades it, and who is outside knows no way back`,
    [`${link.name} sent it as ${text}`, 'no rule of hook postrouting has translated it'],
    `masquerade the network (ipMasq: true; patchbay network create does), or tell the routers outside a way to ${text}`
  )
}

function outOfSight({ namespace, link, packet }: Sighting): Outcome {
  const to = formatAddress(packet.destination)
  return lost(
    `it left this host by ${link.name} towards ${to}, and no answer came`,
    [`${link.name} of ${nameOf(namespace)} sent it as ${formatAddress(packet.source)} -> ${to}`],
    `look there: tcpdump -i ${link.name} host ${to}; does the other side know a way back to ${formatAddress(packet.source)}?`
  )
}

/** It came in here, and left by nothing. */
function lostInside(journey: Journey, last: Sighting): Outcome {
  const { namespace, link, packet } = last
  if (last.direction === 'foreign')
    return lost(
      `${link.name} of ${nameOf(namespace)} ignores it: the frame is for another MAC address`,
      [`ip link show ${link.name}: ${link.mac}`],
      'the sender has an old neighbour entry: ip neigh flush there; or two have one address: patchbay doctor'
    )
  const filtered = returnPath(journey, last)
  if (filtered !== undefined) return filtered
  const place = placeOf(journey, namespace)
  if (place.has(packet.destination)) return ignored(journey, last)
  if (isLoopback(packet.destination))
    return lost(
      `what comes in by ${link.name} of ${nameOf(namespace)} cannot go to ${formatAddress(packet.destination)}: it is published on 127.0.0.1 only`,
      [`net.ipv4.conf.${link.name}.route_localnet = ${place.sysctl(`ipv4/conf/${link.name}/route_localnet`)}`],
      'publish it on an address that others reach'
    )
  const { family } = packet.destination
  if (!place.forwards(family, link)) {
    const name = family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding'
    return lost(
      `${nameOf(namespace)} does not forward`,
      [`${name} = 0`],
      `sysctl -w ${name}=1, and in /etc/sysctl.d so that it stays`
    )
  }
  return (
    wayless(journey, namespace, last) ??
    waiting(journey, namespace, packet.destination) ??
    tooLarge(journey, last) ??
    unknown(last)
  )
}

function tooLarge(journey: Journey, { namespace, packet, length }: Sighting): Outcome | undefined {
  const { link } = placeOf(journey, namespace).wayTo(packet.destination)
  if (link === undefined || link.mtu >= length) return undefined
  return lost(
    `MTU ${String(link.mtu)} of ${link.name} in ${nameOf(namespace)}, packet ${String(length)} bytes, which must not be fragmented`,
    [],
    'give all interfaces of the way one MTU'
  )
}

function unknown({ namespace, link }: Sighting): Outcome {
  return lost(
    `it came in by ${link.name} of ${nameOf(namespace)}, and left by nothing`,
    [],
    'look for what the kernel does not tell of: tc, eBPF; and at nstat -az'
  )
}

/** It is where it was to go, and nothing comes back. */
function ignored(journey: Journey, { namespace, packet }: Sighting): Outcome {
  const place = placeOf(journey, namespace)
  const where = nameOf(namespace)
  const { protocol } = journey.probe
  if (packet.role === 'answer')
    return lost(`${where} took it for something else`, [], 'is the source address that of another namespace?')
  const back = place.wayTo(packet.source)
  if (back.errno !== '')
    return lost(
      `it arrived at ${where}, which has no route back to ${formatAddress(packet.source)}`,
      [`ip route get ${formatAddress(packet.source)}: ${back.errno}`],
      `add one there: ip route add ${formatAddress(packet.source)} via GATEWAY`
    )
  const silent =
    back.link === undefined ? undefined : neighbourless(journey, namespace, back.link, back.gateway ?? packet.source)
  if (silent !== undefined) return { ...silent, what: `it arrived at ${where}, and the answer is lost: ${silent.what}` }
  if (protocol === 'icmp')
    return lost(
      `it arrived at ${where}, which does not answer pings`,
      [`net.ipv4.icmp_echo_ignore_all = ${place.sysctl('ipv4/icmp_echo_ignore_all')}`],
      'probe a port that it serves: NAME:PORT'
    )
  const listeners = place.listeners(protocol, packet.destinationPort)
  const port = `${protocol} port ${String(packet.destinationPort)}`
  if (protocol === 'udp' && listeners.length > 0)
    return reached(`${where} has a program on ${port}, which has it now and did not answer`, listeners.map(socketText))
  return lost(
    `it arrived at ${where}, and nothing answers on ${port}`,
    listeners.map(socketText),
    'is the program there overloaded (ss -lnt: Recv-Q)?'
  )
}
