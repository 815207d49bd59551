/** What one container has published, whoever carries it out. */
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

/** The same container with other mappings. */
export function withMappings(published: Published, mappings: readonly Mapping[]): Published {
  const { addresses, sources, gates, comment } = published
  return { addresses, mappings, sources, gates, comment }
}

/** How many ports of the host these are. */
export function portCount(mappings: readonly Mapping[]): number {
  let count = 0
  for (const { first, last } of mappings) count += last - first + 1
  return count
}
