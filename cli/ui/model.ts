/**
 * What the page is told: the view of the host, rates, and what doctor found. What comes and goes has its key instead of a place in
 * an array, so that a change of one of them is a small patch (merge-patch.ts).
 */
import type {
  ClusterHostView,
  EndpointView,
  LinkView,
  NamespaceView,
  NetworkView,
  ServiceView,
  View
} from '../../lib/view/model.ts'
import type { Rated, Traffic } from '../../lib/view/traffic.ts'
import type { By } from '../top/reading.ts'

/** By key. */
export type Keyed<T> = Readonly<Record<string, T>>

export interface Model {
  readonly view: KeyedView
  /** Rates by what they are of; keys are those of lib/view/traffic.ts. */
  readonly traffic: Readonly<Record<By, Keyed<TrafficRow>>>
  readonly health: Health
  /** Why the last reading failed; '' when it did not. */
  readonly trouble: string
}

export interface KeyedView extends Omit<View, 'namespaces' | 'networks' | 'services' | 'cluster'> {
  readonly namespaces: Keyed<KeyedNamespace>
  readonly networks: Keyed<NetworkView>
  readonly services: Keyed<ServiceView>
  /** Hosts by name; undefined where nobody has asked for them. */
  readonly cluster: Keyed<KeyedHost> | undefined
}

interface KeyedHost extends Omit<ClusterHostView, 'endpoints'> {
  readonly endpoints: Keyed<EndpointView>
}

interface KeyedNamespace extends Omit<NamespaceView, 'links'> {
  /** By index. */
  readonly links: Keyed<LinkView>
}

/** Without its counters, which the view's links have. */
export type TrafficRow = Omit<Rated, 'key' | 'counters' | 'parts'>

export interface Health {
  /** ISO 8601; '' as long as nothing was looked at. */
  readonly checkedAt: string
  readonly findings: readonly HealthFinding[]
}

/** cli/doctor's, without what it does. */
export interface HealthFinding {
  readonly check: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly what: string
  readonly evidence: readonly string[]
  readonly remedy: string
}

export const NO_HEALTH: Health = { checkedAt: '', findings: [] }

export function keyedView(view: View): KeyedView {
  return {
    ...view,
    namespaces: keyed(
      view.namespaces.map(one => ({ ...one, links: keyed(one.links, link => String(link.index)) })),
      one => one.id
    ),
    networks: keyed(view.networks, one => one.name),
    services: keyed(view.services, one => one.name),
    cluster: view.cluster === undefined ? undefined : keyed(view.cluster.map(keyedHost), one => one.name)
  }
}

function keyedHost(host: ClusterHostView): KeyedHost {
  const keyOf = ({ network, containerId, ifName }: EndpointView): string => `${network} ${containerId} ${ifName}`
  return { ...host, endpoints: keyed(host.endpoints, keyOf) }
}

/** The same as lists, in the order that `readView` gives. */
export function viewOf({ cluster, ...view }: KeyedView): View {
  return {
    ...view,
    ...(cluster === undefined ? {} : { cluster: hostsOf(cluster) }),
    namespaces: Object.values(view.namespaces)
      .map(one => ({ ...one, links: Object.values(one.links).sort((a, b) => a.index - b.index) }))
      .sort(byName),
    networks: Object.values(view.networks).sort((a, b) => (a.name < b.name ? -1 : 1)),
    services: Object.values(view.services).sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

function hostsOf(cluster: Keyed<KeyedHost>): readonly ClusterHostView[] {
  return Object.values(cluster)
    .map(host => ({ ...host, endpoints: Object.values(host.endpoints) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function byName(a: NamespaceView, b: NamespaceView): number {
  if (a.isHost !== b.isHost) return a.isHost ? -1 : 1
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.id < b.id ? -1 : 1
}

/** @param rates of each, since the reading before */
export function keyedTraffic(rates: (by: By) => readonly Rated[]): Model['traffic'] {
  const of = (by: By): Keyed<TrafficRow> =>
    Object.fromEntries(rates(by).map(({ key, counters: _counters, parts: _parts, ...row }) => [key, row]))
  return { container: of('container'), network: of('network'), port: of('port') }
}

function keyed<T>(all: readonly T[], keyOf: (one: T) => string): Keyed<T> {
  return Object.fromEntries(all.map(one => [keyOf(one), one]))
}

/** The key of a link's traffic. */
export function trafficKey(namespace: string, link: Pick<LinkView, 'index'>): Traffic['key'] {
  return `${namespace} ${String(link.index)}`
}
