/** What the project demands of its own speed and size; every one is a ratio within one run, except memory and size. */
import type { Traffic } from './traffic.ts'

export interface Target {
  readonly scenario: string
  readonly measure: string
  readonly contestant: string
  /** At most this many times the reference's median. */
  readonly ratio: number
  /** Or at most so many ms: below it the reference's own work is no measure. */
  readonly orMilliseconds?: number
}

function native(scenario: string, measure: string, ratio: number, orMilliseconds?: number): Target {
  const target = { scenario, measure, contestant: 'native', ratio }
  return orMilliseconds === undefined ? target : { ...target, orMilliseconds }
}

/** A median against the reference's. */
export function isMet({ ratio, orMilliseconds }: Target, own: number, reference: number): boolean {
  return own / reference <= ratio || (orMilliseconds !== undefined && own <= orMilliseconds)
}

export const TARGETS: readonly Target[] = [
  native('bridge', 'ADD', 0.2),
  native('bridge', 'DEL', 1),
  native('bridge-masq', 'ADD', 0.12),
  native('portmap', 'ADD', 0.07),
  native('portmap', 'DEL', 0.25),
  // With nothing there, DEL of portmap costs the reference a dozen processes, and one of bridge only its own start.
  ...['loopback', 'host-local', 'bridge', 'bridge-masq', 'portmap', 'firewall', 'tuning'].map(id =>
    native(id, 'DEL again', 0.08, 0.8)
  ),
  native('tuning', 'ADD', 0.18),
  native('nerdctl', 'start', 0.06),
  // A whole chain with nothing to delete.
  native('nerdctl', 'start: DEL part', 0.08),
  native('nerdctl', 'stop', 0.19),
  native('parallel-64', 'ADD', 0.24),
  ...['macvlan', 'ptp', 'ipvlan', 'vlan'].flatMap(id => [native(id, 'ADD', 0.4), native(id, 'DEL', 1)])
]

/** Within one contestant: one median over another. */
export interface InnerTarget {
  readonly contestant: string
  readonly above: readonly [scenario: string, measure: string]
  readonly below: readonly [scenario: string, measure: string]
  /** At most. */
  readonly ratio: number
}

export const INNER_TARGETS: readonly InnerTarget[] = [
  { contestant: 'native', above: ['leases-10000', 'ADD'], below: ['leases-0', 'ADD'], ratio: 1.5 },
  { contestant: 'native', above: ['mappings-5000', 'ADD'], below: ['mappings-0', 'ADD'], ratio: 1.3 },
  {
    contestant: 'native',
    above: ['vxlan-beside-bridge', 'vxlan ADD'],
    below: ['vxlan-beside-bridge', 'bridge ADD'],
    ratio: 1.3
  },
  {
    contestant: 'native',
    above: ['names-chain', 'ADD with names'],
    below: ['names-chain', 'ADD without names'],
    ratio: 1.15
  }
]

/** A median in ms, whatever others take. */
export interface AbsoluteTarget {
  readonly scenario: string
  readonly measure: string
  readonly contestant: string
  readonly milliseconds: number
}

export const ABSOLUTE_TARGETS: readonly AbsoluteTarget[] = [
  // 20,000 a second.
  { scenario: 'names-questions', measure: '1,000 questions, agent', contestant: 'native', milliseconds: 50 },
  { scenario: 'names-questions', measure: '99 of 100 questions within, agent', contestant: 'native', milliseconds: 1 }
]

/** Traffic over a path, compared with the path's first subject. */
export interface PathTarget {
  readonly path: string
  readonly subject: string
  readonly measure: keyof Traffic
  readonly ratio: number
}

/** What of a measure is allowed: throughput at least so many times, the others at most. */
export const PATH_TARGETS: readonly PathTarget[] = [
  { path: 'path-vxlan', subject: 'native', measure: 'throughput', ratio: 0.97 },
  { path: 'path-vxlan', subject: 'native', measure: 'latency', ratio: 1.03 },
  // Unchanged, as far as can be told apart.
  { path: 'path-portmap-5000', subject: 'native', measure: 'throughput', ratio: 0.97 },
  { path: 'path-service', subject: 'native', measure: 'throughput', ratio: 0.97 },
  { path: 'path-service', subject: 'native', measure: 'connection', ratio: 1.03 },
  { path: 'path-service', subject: 'native', measure: 'latency', ratio: 1.05 }
]

/** Whether a scenario's times are held against anything. */
export function hasTarget(id: string): boolean {
  const inner = INNER_TARGETS.flatMap(({ above, below }) => [above[0], below[0]])
  return [...TARGETS, ...ABSOLUTE_TARGETS].some(({ scenario }) => scenario === id) || inner.includes(id)
}

export const NATIVE_PEAK_MIB = 2.5
export const NATIVE_FILE_MIB = 1.6
/** The Node engine's own work in a bridge ADD beyond the bare start of Node, ms; both are measures of the scenario. */
export const NODE_OWN_WORK = {
  scenario: 'node-start',
  call: 'bridge ADD',
  bare: 'bare Node',
  milliseconds: 8
}
/** The same of `patchbay network ls`, ms: 120 where bare Node takes 20. */
export const COMMAND_OWN_WORK_MS = 100
