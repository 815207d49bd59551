/** The journal entry of sbr: which source addresses are sent to which tables, and in which namespace. */
import {
  type Json,
  jsonArray,
  jsonBoolean,
  jsonNumber,
  jsonObject,
  jsonString,
  memberOf
} from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import type { SourceTable } from './plan.ts'

export interface RecordedSource {
  readonly address: IpAddress
  readonly table: number
  /** The table was empty before: all its routes are ours. */
  readonly ownsTable: boolean
}

export function entryOf(sources: readonly SourceTable[], ownsTables: boolean): Json {
  return jsonObject([
    ['ownsTables', jsonBoolean(ownsTables)],
    ['sources', jsonArray(sources.map(sourceToJson))]
  ])
}

function sourceToJson(source: SourceTable): Json {
  return jsonObject([
    ['from', jsonString(formatAddress(source.ip.address.address))],
    ['table', jsonNumber(source.table)]
  ])
}

/** What an entry tells; nothing when there is none, or it is torn. */
export function sourcesIn(entry: Json | undefined): readonly RecordedSource[] {
  if (entry === undefined) return []
  const ownsTable = memberOf(entry, 'ownsTables')?.text === 'true'
  const sources: RecordedSource[] = []
  for (const section of new Section(entry).sections('sources')) {
    const address = parseAddress(section.text('from') ?? '')
    const table = section.integer('table', 1, 4_294_967_295)
    if (address !== undefined && table !== undefined) sources.push({ address, table, ownsTable })
  }
  return sources
}
