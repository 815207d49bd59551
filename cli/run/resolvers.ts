/** What a container of `run` asks for names: `--dns`, `--dns-search` and `--dns-option`, what plugins say, and the host's own. */
import { type Json, jsonArray, jsonObject, jsonString, withMember } from '../../lib/config/json.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import { isWord } from '../../lib/names/resolv-word.ts'
import { capabilitiesOf, type Network } from '../../lib/runtime/network.ts'

/** What resolv.conf says, in its own words. */
export interface Resolver {
  /** Empty: as the host has them. */
  readonly nameServers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
}

/** `dns` of a CNI result. */
export interface ToldDns {
  readonly nameservers?: readonly string[]
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

/**
 * The runtime's arguments with the name servers among them.
 *
 * @source CNI CONVENTIONS.md, "dns"
 */
export function withResolvers(dns: readonly string[], network: Network, others: Json | undefined): Json | undefined {
  if (dns.length === 0 || !capabilitiesOf(network).includes('dns')) return others
  const servers = jsonObject([['servers', jsonArray(dns.map(jsonString))]])
  return withMember(others ?? jsonObject([]), 'dns', servers)
}

/**
 * As Docker has it: what is asked for, else what the networks say and the host's own search domains and options. A search
 * domain `.` is none.
 *
 * @param told by the plugins of each network
 * @param host the search domains and options of the host's resolv.conf
 */
export function resolverOf(
  asked: Resolver,
  told: readonly ToldDns[],
  host: Pick<Resolver, 'search' | 'options'>
): Resolver {
  const named = wordsOf(told.map(one => one.nameservers))
  // Who knows the names of containers has been told of the other servers. Beside it those would say that there are no such names.
  const knowing = named.includes(RESOLVER) ? [RESOLVER] : asked.nameServers
  const nameServers = unique(knowing.length > 0 ? knowing : named)
  // Without any, all of the host's file stands in the container's.
  const own = nameServers.length === 0 ? { search: [], options: [] } : host
  const search = unique([...wordsOf(told.map(one => one.search)), ...own.search])
  const options = wordsOf(told.map(one => one.options))
  return {
    nameServers,
    search: asked.search.length === 0 ? search : asked.search.filter(one => one !== '.' || nameServers.length === 0),
    options: firstOfEach(
      asked.options.length === 0 ? [...options, ...own.options] : [...asked.options, ...options.filter(isNdots)]
    )
  }
}

/** What plugins say may be what somebody on the network has told them: a line of its own would be another server. */
function wordsOf(told: readonly (readonly string[] | undefined)[]): readonly string[] {
  return told.flatMap(texts => (texts ?? []).filter(isWord))
}

function unique(list: readonly string[]): readonly string[] {
  return [...new Set(list)]
}

/** `ndots:0` and `ndots:5` are one option, of which the last would count. */
function firstOfEach(options: readonly string[]): readonly string[] {
  const names = options.map(one => one.replace(/:.*/s, ''))
  return options.filter((_one, at) => names.indexOf(names[at] ?? '') === at)
}

function isNdots(option: string): boolean {
  return option.startsWith('ndots:')
}

/** @source man 5 resolv.conf: of several lines `search` or `domain` the last counts, those of `options` add up */
export function searchAndOptionsOf(text: string): Pick<Resolver, 'search' | 'options'> {
  const words = (line: string): readonly string[] => line.trim().split(/\s+/).slice(1)
  const lines = text.split('\n').filter(line => !/^\s*[#;]/.test(line))
  const search = lines.findLast(line => /^\s*(search|domain)\s/.test(line)) ?? ''
  return { search: words(search), options: lines.filter(line => /^\s*options\s/.test(line)).flatMap(words) }
}
