/** What the project demands of its own speed and size; every one is a ratio within one run, except memory and size. */

export interface Target {
  readonly scenario: string
  readonly measure: string
  readonly contestant: string
  /** At most this many times the reference's median. */
  readonly ratio: number
}

const native = (scenario: string, measure: string, ratio: number): Target => ({
  scenario,
  measure,
  contestant: 'native',
  ratio
})

export const TARGETS: readonly Target[] = [
  native('bridge', 'ADD', 0.4),
  native('bridge', 'DEL', 1),
  native('bridge-masq', 'ADD', 0.25),
  native('portmap', 'ADD', 0.15),
  native('portmap', 'DEL', 0.25),
  // Portmap's DEL with nothing there costs the reference a dozen processes; a bare DEL of bridge only its own start.
  native('portmap', 'DEL again', 0.1),
  native('nerdctl', 'start', 0.25),
  native('nerdctl', 'stop', 0.35),
  ...['macvlan', 'ptp', 'ipvlan', 'vlan'].flatMap(id => [native(id, 'ADD', 0.4), native(id, 'DEL', 1)])
]

/** Growth within one contestant: the first scenario's median over the second's. */
export interface GrowthTarget {
  readonly large: string
  readonly small: string
  readonly measure: string
  readonly contestant: string
  readonly ratio: number
}

export const GROWTH_TARGETS: readonly GrowthTarget[] = [
  { large: 'leases-10000', small: 'leases-0', measure: 'ADD', contestant: 'native', ratio: 1.5 },
  { large: 'mappings-5000', small: 'mappings-0', measure: 'ADD', contestant: 'native', ratio: 1.3 }
]

export const NATIVE_PEAK_KIB = 5 * 1024
export const NATIVE_FILE_BYTES = 2 * 1024 * 1024
/** The Node engine's own work in a bridge ADD beyond the bare start of Node, ms. */
export const NODE_OWN_WORK_MS = 12
