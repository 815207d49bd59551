/**
 * Every kind without attributes of its own (dummy, ifb) and those not known here, kept as they came.
 */
import type { Attribute, Rows } from '../../rows.ts'

export interface OtherInfo {
  readonly kind: 'other'
  readonly unknown?: readonly Attribute[] | undefined
}

export function otherRows(rows: Rows, other: OtherInfo): OtherInfo {
  return { kind: 'other', unknown: rows.unknown(other.unknown) }
}
