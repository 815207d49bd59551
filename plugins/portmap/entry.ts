/** What ADD wrote down about an attachment's mappings, for DEL and GC. */

import { type Attachment, ownerText } from '../../lib/attachment.ts'
import { type Json, jsonArray, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import type { Backend } from './config.ts'
import { type Mapping, parseProtocol, protocolName } from './mapping.ts'
import type { Published } from './published.ts'
import type { Gate, SourceTreatment } from './table.ts'

/** An entry. What a torn file does not tell is undefined, and looked for everywhere. */
export interface Recorded {
  readonly backend: Backend | undefined
  readonly published: Published | undefined
}

export function entryOf(recorded: { readonly backend: Backend; readonly published: Published }): Json {
  const { backend, published } = recorded
  return jsonObject([
    ['backend', jsonString(backend)],
    ['sources', jsonString(published.sources)],
    ['gates', jsonArray(published.gates.map(one => jsonString(`${String(one.family)} ${one.chain}`)))],
    ['addresses', jsonArray(published.addresses.map(one => jsonString(formatPrefix(one))))],
    ['mappings', jsonArray(published.mappings.map(one => mappingJson(one)))]
  ])
}

function mappingJson(mapping: Mapping): Json {
  const { hostAddress } = mapping
  return jsonObject([
    ['protocol', jsonString(protocolName(mapping.protocol))],
    ['hostIP', hostAddress === undefined ? undefined : jsonString(formatAddress(hostAddress))],
    ['first', jsonNumber(mapping.first)],
    ['last', jsonNumber(mapping.last)],
    ['containerPort', jsonNumber(mapping.containerPort)]
  ])
}

export function publishedIn(entry: Json, owner: Attachment): Recorded {
  const section = new Section(entry)
  const backend = section.text('backend')
  const sources = section.text('sources')
  if (backend === undefined || sources === undefined) return { backend: undefined, published: undefined }
  const addresses: IpPrefix[] = []
  for (const text of section.textList('addresses')) {
    const address = parsePrefix(text)
    if (address !== undefined) addresses.push(address)
  }
  const published: Published = {
    addresses,
    mappings: section.sections('mappings').map(one => mappingIn(one)),
    sources: sourcesOf(sources),
    gates: section.textList('gates').map(one => gateIn(one)),
    comment: ownerText(owner)
  }
  return { backend: backend === 'iptables' ? 'iptables' : 'nftables', published }
}

/** The rules are the kernel's to tell. */
function gateIn(text: string): Gate {
  return { family: text.startsWith('4') ? 4 : 6, chain: text.slice(2), rules: [] }
}

function sourcesOf(text: string): SourceTreatment {
  if (text === 'all') return 'all'
  return text === 'none' ? 'none' : 'subnet'
}

function mappingIn(section: Section): Mapping {
  const first = section.integer('first', 1, 65_535) ?? 0
  return {
    protocol: parseProtocol(section.text('protocol') ?? '') ?? 6,
    hostAddress: parseAddress(section.text('hostIP') ?? ''),
    first,
    last: section.integer('last', 1, 65_535) ?? first,
    containerPort: section.integer('containerPort', 1, 65_535) ?? 0
  }
}
