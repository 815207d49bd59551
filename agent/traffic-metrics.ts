/** What `patchbay top` shows, for Prometheus: counters by container and network. */

import { messageOf } from '../lib/sys/errors.ts'
import { readText } from '../lib/sys/files.ts'
import { hostTraffic } from '../lib/view/host-traffic.ts'
import type { CountersView } from '../lib/view/model.ts'
import type { RecordPlaces } from '../lib/view/records.ts'
import type { Traffic } from '../lib/view/traffic.ts'
import type { Metrics } from './metrics.ts'

const COUNTERS: readonly { readonly name: string; readonly help: string; readonly of: keyof CountersView }[] = [
  { name: 'receive_bytes', help: 'Bytes that the container received', of: 'rxBytes' },
  { name: 'receive_packets', help: 'Packets that the container received', of: 'rxPackets' },
  { name: 'receive_dropped', help: 'Packets for the container that its interface dropped', of: 'rxDropped' },
  { name: 'transmit_bytes', help: 'Bytes that the container sent', of: 'txBytes' },
  { name: 'transmit_packets', help: 'Packets that the container sent', of: 'txPackets' },
  { name: 'transmit_dropped', help: 'Packets of the container that its interface dropped', of: 'txDropped' }
]

/** Six series are asked for in one go, and nobody needs to know faster. */
const KEPT_MS = 5000

export function addTrafficMetrics(metrics: Metrics, places: RecordPlaces, log: (message: string) => void): void {
  const read = keeping(() => {
    try {
      return hostTraffic(places)
    } catch (error) {
      log(`count traffic: ${messageOf(error)}`)
      return []
    }
  })
  for (const { name, help, of } of COUNTERS) {
    metrics.series(
      `patchbay_container_network_${name}_total`,
      help,
      () => new Map(read().map(one => [labelsOf(one), one.counters[of]]))
    )
  }
  metrics.gauge('patchbay_host_connections', 'Connections that the kernel follows', () =>
    numberIn('nf_conntrack_count')
  )
  metrics.gauge('patchbay_host_connections_limit', 'How many it can follow', () => numberIn('nf_conntrack_max'))
}

function keeping(read: () => readonly Traffic[]): () => readonly Traffic[] {
  let kept: readonly Traffic[] = []
  let until = Number.NEGATIVE_INFINITY
  return () => {
    if (performance.now() < until) return kept
    kept = read()
    until = performance.now() + KEPT_MS
    return kept
  }
}

/** 0 where the kernel follows none. */
function numberIn(name: string): number {
  return Number(readText(`/proc/sys/net/netfilter/${name}`) ?? '0')
}

/** @source Prometheus exposition formats: in a label's value backslash, quote and line feed are escaped */
export function labelsOf({ name, network, detail }: Traffic): string {
  const labels = { container: name, network, interface: detail }
  return Object.entries(labels)
    .map(([key, value]) => `${key}="${value.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`)
    .join(',')
}
