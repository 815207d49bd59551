import type { IpPrefix } from '../../lib/ip/prefix.ts'
import type { Mapping } from './mapping.ts'
import type { Gate, SourceTreatment } from './table.ts'

/** One container's mappings, for both families. */
export interface Published {
  /** The container's address of each family, with its subnet's length. */
  readonly addresses: readonly IpPrefix[]
  readonly mappings: readonly Mapping[]
  readonly sources: SourceTreatment
  /** Of the families that have conditions. */
  readonly gates: readonly Gate[]
  /** `ownerText` */
  readonly comment: string
}
