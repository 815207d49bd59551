/** `ip rule`. */
import type { IpPrefix } from '../ip/prefix.ts'

export type RuleAction = 'table' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit'

/** A routing policy rule, as listed and as to be added. */
export interface Rule {
  readonly family: 4 | 6
  /** Rules are tried in this order; chosen by the kernel when absent. */
  readonly priority?: number | undefined
  readonly from?: IpPrefix | undefined
  readonly to?: IpPrefix | undefined
  readonly table?: number | undefined
  readonly iifName?: string | undefined
  readonly oifName?: string | undefined
  readonly mark?: number | undefined
  readonly mask?: number | undefined
  readonly suppressPrefixLength?: number | undefined
  readonly protocol?: number | undefined
  readonly invert?: boolean | undefined
  /** The master's table is looked up (VRF). */
  readonly l3mdev?: boolean | undefined
  /** The priority of the rule to go on with; for action `goto`. */
  readonly goto?: number | undefined
  readonly action?: RuleAction | undefined
}

export abstract class Rules {
  abstract list(family: 4 | 6): readonly Rule[]
  /** @throws {KernelError} EEXIST when there is exactly this one */
  abstract add(rule: Rule): void
  /** @returns false when there was none */
  abstract remove(rule: Rule): boolean
}
