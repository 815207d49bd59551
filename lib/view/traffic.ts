/** Who receives and sends how much: counters by container, network and published port, and rates from two readings. */
import { formatAddress } from '../ip/address.ts'
import type { ConntrackEntry } from '../netlink/nf/conntrack.ts'
import type { Connection } from './connections.ts'
import { type CountersView, NO_COUNTERS, type PortView, type View } from './model.ts'
import { segmentsOf } from './segments.ts'

/** What a thing has received and sent since it is there, as itself sees it. */
export interface Traffic {
  /** Tells it from all others, also from a later one of the same name. */
  readonly key: string
  readonly name: string
  /** '' where no record tells. */
  readonly network: string
  /** Of a container its interface; of a port where it leads. */
  readonly detail: string
  readonly counters: CountersView
  /** That the host follows now; of both directions. */
  readonly connections: number
  /** What the counters are the sum of, where parts come and go: its rate is what the parts have added. */
  readonly parts?: ReadonlyMap<string, CountersView>
}

/** Per second; of counters that began anew meanwhile, as of a link that was made again, 0. */
export interface Rated extends Traffic {
  readonly rates: CountersView
}

/** By container's interface. @param connections that the host follows */
export function byContainer(view: View, connections: readonly ConntrackEntry[]): readonly Traffic[] {
  const counts = connectionsByAddress(connections)
  const seen = new Set<string>()
  const all: Traffic[] = []
  for (const { members } of segmentsOf(view).segments) {
    for (const { namespace, link } of members) {
      const key = `${namespace.id} ${String(link.index)}`
      if (seen.has(key)) continue
      seen.add(key)
      const addresses = link.addresses.map(address => address.split('/')[0] ?? '')
      all.push({
        key,
        name: namespace.name,
        network: link.owner?.network ?? '',
        detail: link.name,
        counters: link.counters,
        connections: addresses.reduce((sum, address) => sum + (counts.get(address) ?? 0), 0)
      })
    }
  }
  return all
}

/** The sums of their containers. Between two containers of a network both count. */
export function byNetwork(containers: readonly Traffic[]): readonly Traffic[] {
  const names = [...new Set(containers.map(one => one.network))].sort()
  return names.map(network => {
    const own = containers.filter(one => one.network === network)
    return {
      key: network,
      name: network === '' ? '(no record)' : network,
      network,
      detail: `${String(own.length)} interfaces`,
      counters: sum(own.map(one => one.counters)),
      connections: own.reduce((sum, one) => sum + one.connections, 0)
    }
  })
}

/** By published port: the connections that lead there now, and what those have carried where the kernel counts it. */
export function byPort(view: View, connections: readonly Connection[]): readonly Traffic[] {
  return view.networks.flatMap(({ name: network, attachments }) =>
    attachments
      .filter(one => one.namespace !== '')
      .flatMap(one =>
        one.ports.map(port => {
          const last = port.hostPort + port.count - 1
          const range = port.count === 1 ? '' : `-${String(last)}`
          const to = view.namespaces.find(candidate => candidate.id === one.namespace)?.name ?? one.containerId
          const host = port.hostAddress.includes(':') ? `[${port.hostAddress}]` : port.hostAddress
          const own = connections.filter(connection => isTo(port, connection))
          return {
            key: `${network} ${one.containerId} ${port.protocol} ${port.hostAddress} ${String(port.hostPort)}`,
            name: `${host === '' ? '' : `${host}:`}${String(port.hostPort)}${range}/${port.protocol}`,
            network,
            detail: `${to}:${String(port.containerPort)}`,
            counters: sum(own.map(connection => connection.counters)),
            connections: own.length,
            parts: new Map(own.map(({ id, counters }) => [id, counters]))
          }
        })
      )
  )
}

function isTo({ protocol, hostPort, count, hostAddress }: PortView, { original }: Connection): boolean {
  return (
    original.protocol === PROTOCOLS[protocol] &&
    original.destinationPort >= hostPort &&
    original.destinationPort < hostPort + count &&
    (hostAddress === '' || addressText(original.destination) === hostAddress)
  )
}

/** @source IANA, Assigned Internet Protocol Numbers */
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 }

function addressText(address: ConntrackEntry['original']['source']): string {
  return address === undefined ? '' : formatAddress(address)
}

/** Who asks, and who answers: after a translation of the destination, that is the container. */
function connectionsByAddress(connections: readonly ConntrackEntry[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { original, reply } of connections) {
    const ends = new Set([addressText(original.source), addressText(reply.source)])
    for (const end of ends) counts.set(end, (counts.get(end) ?? 0) + 1)
  }
  return counts
}

/** @param seconds between the two */
export function rated(before: readonly Traffic[], after: readonly Traffic[], seconds: number): readonly Rated[] {
  const earlier = new Map(before.map(one => [one.key, one]))
  return after.map(one => {
    const then = earlier.get(one.key)
    const added = then === undefined ? NO_COUNTERS : addedSince(then, one)
    return { ...one, rates: combined(added, NO_COUNTERS, bytes => Math.round(bytes / seconds)) }
  })
}

/** Of parts that have gone nothing is known any more; all that a new one has came meanwhile. */
function addedSince(before: Traffic, after: Traffic): CountersView {
  const { parts } = after
  if (parts === undefined) return combined(after.counters, before.counters, (now, then) => Math.max(0, now - then))
  return sum(
    [...parts].map(([id, now]) => combined(now, before.parts?.get(id) ?? NO_COUNTERS, (a, b) => Math.max(0, a - b)))
  )
}

function sum(all: readonly CountersView[]): CountersView {
  return all.reduce((a, b) => combined(a, b, (x, y) => x + y), NO_COUNTERS)
}

function combined(a: CountersView, b: CountersView, join: (a: number, b: number) => number): CountersView {
  return {
    rxBytes: join(a.rxBytes, b.rxBytes),
    rxPackets: join(a.rxPackets, b.rxPackets),
    rxErrors: join(a.rxErrors, b.rxErrors),
    rxDropped: join(a.rxDropped, b.rxDropped),
    txBytes: join(a.txBytes, b.txBytes),
    txPackets: join(a.txPackets, b.txPackets),
    txErrors: join(a.txErrors, b.txErrors),
    txDropped: join(a.txDropped, b.txDropped)
  }
}
