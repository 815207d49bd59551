/** `ip address`. */
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'

/** An address as the kernel describes it. */
export interface Address {
  readonly index: number
  readonly prefix: IpPrefix
  /** The far end of a point-to-point address. */
  readonly peer: IpPrefix | undefined
  readonly broadcast: IpAddress | undefined
  /** RT_SCOPE_* */
  readonly scope: number
  /** IFA_F_* of linux/if_addr.h */
  readonly flags: number
  readonly label: string | undefined
  readonly isPermanent: boolean
  /** Duplicate address detection is still going on. */
  readonly isTentative: boolean
  /** Duplicate address detection found another owner. */
  readonly isDuplicate: boolean
  readonly lifetime: Lifetime | undefined
}

export interface NewAddress {
  readonly prefix: IpPrefix
  readonly peer?: IpPrefix | undefined
  readonly broadcast?: IpAddress | undefined
  readonly scope?: number | undefined
  readonly label?: string | undefined
  /** IPv6: usable at once, without duplicate address detection. */
  readonly noDad?: boolean | undefined
  /** Without the route to the prefix. */
  readonly noPrefixRoute?: boolean | undefined
  readonly lifetime?: Lifetime | undefined
}

/** Seconds; undefined = for ever. */
export interface Lifetime {
  readonly preferred: number | undefined
  readonly valid: number | undefined
}

/** @throws {KernelError} by every verb, for whatever the kernel refuses; the codes named are the ones to tell apart */
export abstract class Addresses {
  /** Of one link, or of all. */
  abstract list(index?: number): readonly Address[]
  /** @throws {KernelError} EEXIST when the link has the address, EACCES when IPv6 is switched off on the link */
  abstract add(index: number, address: NewAddress): void
  /**
   * Adds them in one go, or accepts the same addresses with the same prefix lengths.
   *
   * @throws {KernelError} EEXIST when a length differs
   */
  abstract ensure(index: number, addresses: readonly NewAddress[]): void
  /** @returns false when the link has no such address */
  abstract remove(index: number, prefix: IpPrefix): boolean
}
