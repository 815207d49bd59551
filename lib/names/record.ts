/**
 * What the plugin `dns` writes down of an attachment and the agent reads: an entry of the plugin's journal. It is all that
 * the agent knows of the container, so that neither needs the other to be there.
 */
import { type Json, jsonArray, jsonBoolean, jsonObject, jsonString } from '../config/json.ts'
import { Section } from '../config/section.ts'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { canonicalName, nameProblem } from './host-name.ts'

/** The plugin's name, under which its journal is found. */
export const DNS_PLUGIN = 'dns'

/** Where a container's resolver asks: Docker's address, which images and tools know. */
export const RESOLVER = '127.0.0.11'

/** What one container calls another: nobody else is answered so. */
export interface NameLink {
  /** Canonical, both. */
  readonly alias: string
  readonly target: string
}

export interface NameRecord {
  /** The path of the container's namespace. */
  readonly netns: string
  /** Device and inode of it, `4:4026532281`: the path may lead to another container by now. */
  readonly netnsId: string
  /** Canonical; the first is the container's own and what its addresses are called by, the others are aliases. */
  readonly names: readonly string[]
  readonly addresses: readonly IpAddress[]
  /** Of the container on this network; those that are addresses of its host are what it reaches the host by. */
  readonly gateways: readonly IpAddress[]
  readonly links: readonly NameLink[]
  /** A domain below which the names are known too; '' for none. */
  readonly domain: string
  /** Resolvers to ask instead of the host's. */
  readonly upstreams: readonly IpAddress[]
  /** Names of others are not asked for. */
  readonly isInternal: boolean
  /** The network is on other hosts too: its names are known there, and the container's own name is nobody else's. */
  readonly isCluster: boolean
}

export function recordToJson(record: NameRecord): Json {
  return jsonObject([
    ['netns', jsonString(record.netns)],
    ['netnsId', jsonString(record.netnsId)],
    ['names', texts(record.names)],
    ['addresses', texts(record.addresses.map(formatAddress))],
    ['gateways', record.gateways.length === 0 ? undefined : texts(record.gateways.map(formatAddress))],
    ['links', record.links.length === 0 ? undefined : texts(record.links.map(linkText))],
    ['domain', record.domain === '' ? undefined : jsonString(record.domain)],
    ['upstreams', record.upstreams.length === 0 ? undefined : texts(record.upstreams.map(formatAddress))],
    ['internal', record.isInternal ? jsonBoolean(true) : undefined],
    ['cluster', record.isCluster ? jsonBoolean(true) : undefined]
  ])
}

function texts(list: readonly string[]): Json {
  return jsonArray(list.map(jsonString))
}

/** Reads one back. What is malformed in it is left out: a torn file must not cost others their names. */
export function recordFromJson(json: Json): NameRecord {
  const section = new Section(json)
  return {
    netns: section.text('netns') ?? '',
    netnsId: section.text('netnsId') ?? '',
    names: section.textList('names').map(canonicalName).filter(isName),
    addresses: addresses(section.textList('addresses')),
    gateways: addresses(section.textList('gateways')),
    links: linksOf(section.textList('links')),
    domain: nameOrNone(section.text('domain') ?? ''),
    upstreams: addresses(section.textList('upstreams')),
    isInternal: section.boolean('internal', false),
    isCluster: section.boolean('cluster', false)
  }
}

function linkText(link: NameLink): string {
  return `${link.alias}:${link.target}`
}

/** Of `ALIAS:NAME` each; what is none is left out. */
export function linksOf(list: readonly string[]): readonly NameLink[] {
  const links: NameLink[] = []
  for (const text of list) {
    const [alias = '', target = '', more = ''] = text.split(':')
    const link: NameLink = { alias: canonicalName(alias), target: canonicalName(target) }
    if (isName(link.alias) && isName(link.target) && more === '') links.push(link)
  }
  return links
}

/** A domain, in the container's resolv.conf and in answers, is held to the same rules. */
function nameOrNone(text: string): string {
  const name = canonicalName(text)
  return isName(name) ? name : ''
}

function isName(name: string): boolean {
  return nameProblem(name) === ''
}

function addresses(list: readonly string[]): readonly IpAddress[] {
  const parsed: IpAddress[] = []
  for (const text of list) {
    const address = parseAddress(text)
    if (address !== undefined) parsed.push(address)
  }
  return parsed
}
