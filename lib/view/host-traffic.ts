/**
 * The same for a daemon that is asked again and again: one list of the host's links instead of a visit to each container. What a
 * container receives, its host's end sends. Containers without one (macvlan, ipvlan, moved devices) are not in it.
 */
import { netnsNumber, ownNetns } from '../sys/netns.ts'
import type { CountersView } from './model.ts'
import { OpenNamespace } from './read-namespace.ts'
import { type RecordPlaces, readRecords } from './records.ts'
import type { Traffic } from './traffic.ts'

export function hostTraffic(places: RecordPlaces): readonly Traffic[] {
  const own = new OpenNamespace('/proc/self/ns/net', String(netnsNumber(ownNetns())))
  try {
    const links = new Map(own.links().map(({ view }) => [view.name, view]))
    const { networks, names } = readRecords(places, new Set())
    return networks.flatMap(({ name: network, attachments }) =>
      attachments.flatMap(({ containerId, ifName, hostLink }) => {
        const link = links.get(hostLink)
        if (link === undefined || link.kind !== 'veth') return []
        const key = `${network} ${containerId} ${ifName} ${String(link.index)}`
        const name = names.get(containerId) ?? containerId
        return [{ key, name, network, detail: ifName, counters: turned(link.counters), connections: 0 }]
      })
    )
  } finally {
    own.close()
  }
}

function turned(host: CountersView): CountersView {
  return {
    rxBytes: host.txBytes,
    rxPackets: host.txPackets,
    rxErrors: host.txErrors,
    rxDropped: host.txDropped,
    txBytes: host.rxBytes,
    txPackets: host.rxPackets,
    txErrors: host.rxErrors,
    txDropped: host.rxDropped
  }
}
