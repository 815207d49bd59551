/** `tc qdisc` and `tc filter`. */

/** A queueing discipline, as listed. Handles and parents are numbers `major * 65536 + minor`. */
export interface Qdisc {
  readonly index: number
  /** `tbf`, `ingress`, `clsact`, `noqueue` … */
  readonly kind: string
  readonly handle: number
  readonly parent: number
  /** Set when kind is `tbf`. */
  readonly tbf: Tbf | undefined
}

export type NewQdisc = TbfQdisc | { readonly kind: 'ingress' } | { readonly kind: 'clsact' }

/** A token bucket filter as the root queue of a link. */
interface TbfQdisc {
  readonly kind: 'tbf'
  readonly tbf: Tbf
}

export interface Tbf {
  /** bytes per second; above 2^32 too */
  readonly rate: number
  /** bytes that may go at once */
  readonly burst: number
  /** bytes that may wait; `limitForLatency` computes it */
  readonly limit: number
}

/** Where the filters of a link hang: on its ingress qdisc, or on either hook of clsact. */
export type FilterHook = 'ingress' | 'clsact-ingress' | 'clsact-egress'

/** A filter that sends every packet out of another link (u32 match-all, action mirred egress redirect). */
export interface RedirectFilter {
  readonly hook: FilterHook
  /** 1 to 65535: filters are tried in this order */
  readonly priority: number
  readonly redirectIndex: number
  /** Into that link, as if it had received them. */
  readonly isIngress?: boolean | undefined
}

/** A filter, as listed. */
export interface Filter {
  readonly kind: string
  readonly priority: number
  /** ETH_P_*, 3 = all */
  readonly protocol: number
  /** undefined when its action is another one */
  readonly redirectIndex: number | undefined
}

export abstract class Qdiscs {
  abstract list(index: number): readonly Qdisc[]
  /** tbf as root, ingress and clsact at their own place; whatever is there is replaced. */
  abstract replace(index: number, qdisc: NewQdisc): void
  /** @returns false when there was none of this kind */
  abstract remove(index: number, kind: NewQdisc['kind']): boolean
}

export abstract class Filters {
  abstract list(index: number, hook: FilterHook): readonly Filter[]
  abstract add(index: number, filter: RedirectFilter): void
}
