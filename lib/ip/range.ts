/**
 * A run of addresses from `first` to `last`, both included and of one family.
 */
import { compareAddresses, type IpAddress } from './address.ts'

export interface IpRange {
  readonly first: IpAddress
  readonly last: IpAddress
}

/** True when the address is of the range's family and not outside of its ends. */
export function rangeContains(range: IpRange, address: IpAddress): boolean {
  return compareAddresses(range.first, address) <= 0 && compareAddresses(address, range.last) <= 0
}

/** True when at least one address is in both. */
export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  return compareAddresses(a.first, b.last) <= 0 && compareAddresses(b.first, a.last) <= 0
}

/**
 * How many addresses the range holds: exact up to 2^53, Infinity above; 0 when `last` comes before `first` or is of
 * another family.
 */
export function rangeSize(range: IpRange): number {
  if (range.first.family !== range.last.family || compareAddresses(range.first, range.last) > 0) return 0
  const steps = difference(range.last.bytes, range.first.bytes)
  return steps < 2 ** 53 ? steps + 1 : Infinity
}

/** `a - b` for `a >= b`: exact below 2^53, and never below it otherwise. */
function difference(a: Uint8Array, b: Uint8Array): number {
  const digits = new Uint8Array(a.length)
  let borrow = 0
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const digit = (a[i] ?? 0) - (b[i] ?? 0) - borrow
    borrow = digit < 0 ? 1 : 0
    digits[i] = digit + 256 * borrow
  }
  let value = 0
  for (const digit of digits) value = value * 256 + digit
  return value
}
