/** What ADD wrote down about an attachment's mappings, for DEL and GC. */

import { type Attachment, ownerText } from '../../lib/attachment.ts'
import { type Json, jsonArray, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import { parseMatches } from '../../lib/nft/conditions.ts'
import { nftFamily } from '../../lib/nft/nft.ts'
import type { Backend } from './config.ts'
import type { IptablesWay } from './iptables.ts'
import { type Mapping, parseProtocol, protocolName } from './mapping.ts'
import type { Published } from './published.ts'
import { type Gate, gateOf, type SourceTreatment } from './table.ts'

/** The plugin's, behind which its entries are. */
export const NAME = 'portmap'

/** What is made for one attachment. */
export interface Made {
  readonly backend: Backend
  readonly published: Published
  /** How, with the backend iptables; undefined where that was not written down. */
  readonly way: IptablesWay | undefined
  /** The chain of localhost.ts; '' = none */
  readonly localhost: string
  /** The host's interfaces of the attachment: where one of them is gone, so is the container. */
  readonly links: readonly string[]
}

export function entryOf(made: Made): Json {
  const { backend, published, way } = made
  return jsonObject([
    ['backend', jsonString(backend)],
    ['sources', jsonString(published.sources)],
    ['localhost', jsonString(made.localhost)],
    ['links', jsonArray(made.links.map(one => jsonString(one)))],
    ['gates', jsonArray(published.gates.map(one => gateJson(one)))],
    ['iptables', way === undefined ? undefined : wayJson(way)],
    ['addresses', jsonArray(published.addresses.map(one => jsonString(formatPrefix(one))))],
    ['mappings', jsonArray(published.mappings.map(one => mappingJson(one)))]
  ])
}

function wayJson(way: IptablesWay): Json {
  const { markMasqBit, externalSetMarkChain } = way
  return jsonObject([
    ['markMasqBit', jsonNumber(markMasqBit)],
    ['externalSetMarkChain', externalSetMarkChain === undefined ? undefined : jsonString(externalSetMarkChain)],
    ['conditionsV4', jsonArray(way.conditionsV4.map(one => jsonString(one)))],
    ['conditionsV6', jsonArray(way.conditionsV6.map(one => jsonString(one)))]
  ])
}

function gateJson(gate: Gate): Json {
  return jsonObject([
    ['family', jsonNumber(gate.family)],
    ['words', jsonArray(gate.words.map(one => jsonString(one)))]
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

/** @returns undefined for a torn file: what it told of is looked for everywhere */
export function madeIn(entry: Json, owner: Attachment): Made | undefined {
  const section = new Section(entry)
  const backend = section.text('backend')
  const sources = section.text('sources')
  if (backend === undefined || sources === undefined) return undefined
  const addresses: IpPrefix[] = []
  for (const text of section.textList('addresses')) {
    const address = parsePrefix(text)
    if (address !== undefined) addresses.push(address)
  }
  const published: Published = {
    addresses,
    mappings: section.sections('mappings').map(one => mappingIn(one)),
    sources: sourcesOf(sources),
    gates: section.sections('gates').map(one => gateIn(one)),
    comment: ownerText(owner)
  }
  return {
    backend: backend === 'iptables' ? 'iptables' : 'nftables',
    published,
    way: wayIn(section.section('iptables')),
    localhost: section.text('localhost') ?? '',
    links: section.textList('links')
  }
}

function wayIn(section: Section | undefined): IptablesWay | undefined {
  const markMasqBit = section?.integer('markMasqBit', 0, 31)
  if (section === undefined || markMasqBit === undefined) return undefined
  return {
    markMasqBit,
    externalSetMarkChain: section.text('externalSetMarkChain'),
    conditionsV4: section.textList('conditionsV4'),
    conditionsV6: section.textList('conditionsV6')
  }
}

function gateIn(section: Section): Gate {
  const family = section.integer('family', 4, 6) === 6 ? 6 : 4
  const words = section.textList('words')
  return gateOf(family, words, parseMatches(words, nftFamily(family)).alternatives)
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
