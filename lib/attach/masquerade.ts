/**
 * `ipMasq` of a network: the host's address in place of the container's for what leaves the network. The journal has
 * what was masqueraded, so that DEL and GC need neither configuration nor namespace.
 */

import { ownerText } from '../attachment.ts'
import { CniError, NOT_AVAILABLE } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import type { IpConfig } from '../cni/result.ts'
import { type Json, jsonArray, jsonString, memberOf, withMember } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { formatAddress, type IpAddress, isUnspecified, parseAddress } from '../ip/address.ts'
import { formatPrefix, hostPrefix, type IpPrefix, networkOf, parsePrefix } from '../ip/prefix.ts'
import { hasIptables } from '../iptables/iptables.ts'
import { addIptablesMasqueradeAgain, type LostMasquerade } from '../iptables/masquerade.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  checkMasquerade,
  collectMasquerade,
  ensureMasquerade,
  type Masquerade,
  type MasqueradeBackend,
  removeMasquerade
} from '../nft/masquerade.ts'
import { messageOf } from '../sys/errors.ts'
import { everyEntry } from './every-entry.ts'
import { type Flushed, flushedFor } from './flushed.ts'
import type { Session } from './session.ts'
import { hostEndName, mayHaveRules } from './veth.ts'

const BACKENDS: readonly string[] = ['', 'nftables', 'iptables']
const FAMILIES: readonly (4 | 6)[] = [4, 6]
/** The plugins that have `ipMasq`. */
const MASQUERADING: readonly string[] = ['bridge', 'ptp', 'vxlan']
/** Each is a rule that every packet of a new connection meets. */
const MOST_EXCLUDED = 256

export interface MasqueradeConfig {
  readonly isOn: boolean
  readonly families: readonly (4 | 6)[]
  readonly excluded: readonly IpPrefix[]
  readonly sources: readonly IpAddress[]
  /** undefined = chosen here */
  readonly backend: MasqueradeBackend | undefined
}

/**
 * Reads `ipMasq` and the keys that begin with it.
 *
 * @throws {ConfigError} when iptables is asked for and not there: before anything is made
 * @throws {CniError} code 50 then, on STATUS
 */
export function readMasquerade({ config, command }: Request): MasqueradeConfig {
  const isOn = config.boolean('ipMasq', false)
  const backend = config.oneOf('ipMasqBackend', BACKENDS) ?? ''
  if (isOn && backend === 'iptables' && !hasIptables()) {
    const missing = 'neither iptables nor ip6tables is installed'
    if (command !== 'STATUS') throw config.unsupported('ipMasqBackend', missing)
    throw new CniError(NOT_AVAILABLE, `find iptables: ${missing}`, 'install it, or leave out ipMasqBackend')
  }
  return {
    isOn,
    families: readFamilies(config),
    excluded: readExcluded(config),
    sources: readSources(config),
    backend: backend === '' ? undefined : (backend as MasqueradeBackend)
  }
}

function readFamilies(config: Section): readonly (4 | 6)[] {
  const names = config.textList('ipMasqFamilies')
  if (names.some(one => one !== 'ipv4' && one !== 'ipv6')) {
    config.problem('ipMasqFamilies', 'must hold "ipv4", "ipv6" or both')
  }
  const isBoth = names.length === 0
  return FAMILIES.filter(family => isBoth || names.some(one => one === `ipv${String(family)}`))
}

/** Prefixes, and addresses as prefixes of all their bits. */
function readExcluded(config: Section): readonly IpPrefix[] {
  const prefixes: IpPrefix[] = []
  const texts = config.textList('ipMasqExclude')
  for (const text of texts) {
    const address = parseAddress(text)
    const prefix = address === undefined ? parsePrefix(text) : hostPrefix(address)
    if (prefix !== undefined) prefixes.push(networkOf(prefix))
  }
  const isWrong = prefixes.length < texts.length
  if (isWrong) config.problem('ipMasqExclude', 'must hold addresses or prefixes, such as "10.0.0.0/8"')
  if (texts.length > MOST_EXCLUDED)
    config.problem('ipMasqExclude', `must have ${String(MOST_EXCLUDED)} members at most`)
  return prefixes
}

function readSources(config: Section): readonly IpAddress[] {
  const sources: IpAddress[] = []
  const texts = config.textList('ipMasqSource')
  for (const text of texts) {
    const address = parseAddress(text)
    const isFirst = address !== undefined && !sources.some(one => one.family === address.family)
    if (isFirst && !isUnspecified(address)) sources.push(address)
  }
  if (sources.length < texts.length) config.problem('ipMasqSource', 'must hold one address of each family at most')
  return sources
}

function masqueradeFor(config: MasqueradeConfig, ips: readonly IpConfig[]): Masquerade {
  const prefixes = ips.map(ip => ip.address)
  const { excluded, sources, backend } = config
  const addresses = prefixes.filter(one => config.families.some(family => family === one.address.family))
  return { addresses, excluded, sources, backend }
}

/** Masquerades the addresses, after writing down that it will. */
export function addMasquerade(session: Session, config: MasqueradeConfig, ips: readonly IpConfig[]): void {
  if (!config.isOn) return
  const wanted = masqueradeFor(config, ips)
  const { addresses, excluded, sources, backend } = wanted
  const prefixList = (list: readonly IpPrefix[]): Json => jsonArray(list.map(one => jsonString(formatPrefix(one))))
  const noted: (readonly [string, Json])[] = [['masquerade', prefixList(addresses)]]
  if (excluded.length > 0) noted.push(['masqueradeExclude', prefixList(excluded)])
  if (sources.length > 0) {
    noted.push(['masqueradeSource', jsonArray(sources.map(one => jsonString(formatAddress(one))))])
  }
  if (backend !== undefined) noted.push(['masqueradeBackend', jsonString(backend)])
  session.recordAlso(noted)
  session.undo.push('masquerade', () => removeNoted(session, session.journal.read(session.request)))
  const isFirst = ensureMasquerade(session.nft(), session.request, wanted)
  if (isFirst) session.host.withLock(() => restoreMasquerade(flushedFor(session)))
}

/**
 * After a flush of the ruleset, or of iptables' rules, the first ADD or the agent makes everybody's again, as the journal has them.
 * Nobody is masqueraded only when nobody needed it, or when somebody took the rules away. To be called under the lock of the
 * host's namespace.
 */
export function restoreMasquerade({ host, nft, stateDir, except }: Flushed): void {
  const lost: LostMasquerade[] = []
  for (const plugin of MASQUERADING) {
    for (const { attachment, entry } of everyEntry(stateDir, plugin)) {
      const wanted = masqueradeIn(entry)
      // An address may be another container's by now.
      const isGone = host.links.find(hostEndName(attachment)) === undefined
      if (isGone || ownerText(attachment) === except) continue
      if (wanted.backend === 'iptables') {
        lost.push({ owner: attachment, wanted })
        continue
      }
      try {
        ensureMasquerade(nft, attachment, wanted)
      } catch (error) {
        // What is not to be had for another one is no failure of this ADD.
        process.stderr.write(`masquerade ${ownerText(attachment)} again: ${messageOf(error)}\n`)
      }
    }
  }
  addIptablesMasqueradeAgain(lost)
}

function masqueradeIn(entry: Json): Masquerade {
  const sources: IpAddress[] = []
  for (const item of memberOf(entry, 'masqueradeSource')?.items ?? []) {
    const address = parseAddress(item.text)
    if (address !== undefined) sources.push(address)
  }
  const backend = memberOf(entry, 'masqueradeBackend')?.text === 'iptables' ? 'iptables' : 'nftables'
  return {
    addresses: prefixesIn(entry, 'masquerade'),
    excluded: prefixesIn(entry, 'masqueradeExclude'),
    sources,
    backend
  }
}

function prefixesIn(entry: Json, key: string): readonly IpPrefix[] {
  const prefixes: IpPrefix[] = []
  for (const item of memberOf(entry, key)?.items ?? []) {
    const prefix = parsePrefix(item.text)
    if (prefix !== undefined) prefixes.push(prefix)
  }
  return prefixes
}

/**
 * Takes it back as the journal has it. Without an entry there is most often nothing, for runtimes call DEL before every
 * ADD: only where something else tells of an attachment are the rules searched for.
 */
export function delMasquerade(session: Session, entry: Json | undefined): void {
  const { request } = session
  if (entry !== undefined) {
    removeNoted(session, entry)
    return
  }
  if (!request.config.boolean('ipMasq', false) || !mayHaveRules(session)) return
  const prefixes = request.prevResult?.ips.map(ip => ip.address)
  removeMasquerade(session.nft(), request, prefixes, prefixes === undefined ? 'nftables' : undefined)
}

/**
 * Rules and note go under one lock, for `restoreMasquerade` reads the note and makes the rules again. The rest of the entry stays
 * until the links are gone, which would take too long for a lock.
 */
function removeNoted(session: Session, entry: Json | undefined): void {
  if (entry === undefined) return
  const { addresses, backend } = masqueradeIn(entry)
  if (addresses.length === 0) return
  session.host.withLock(() => {
    removeMasquerade(session.nft(), session.request, addresses, backend)
    forgetNote(session, entry)
  })
}

/** Where there is no room to write, the entry's removal is still to come. */
function forgetNote(session: Session, entry: Json): void {
  try {
    session.journal.write(session.request, withMember(entry, 'masquerade', jsonArray([])))
  } catch (error) {
    process.stderr.write(`note that ${ownerText(session.request)} is masqueraded no more: ${messageOf(error)}\n`)
  }
}

/** GC of what has no journal entry any more. */
export function collectStrayMasquerade(session: Session): void {
  const isKnown = knownOwners(session.request)
  collectMasquerade(session.nft(), session.request.network, isKnown)
}

/** GC: whether an element of nf_tables belongs, by its comment, to an attachment that the runtime knows. */
export function knownOwners(request: Request): (comment: string) => boolean {
  const known: Map<string, boolean> = new Map()
  for (const one of request.validAttachments) known.set(ownerText(one), true)
  return comment => known.get(comment) !== undefined
}

/** CHECK; the difference as a sentence. */
export function masqueradeProblems(
  session: Session,
  config: MasqueradeConfig,
  ips: readonly IpConfig[]
): readonly string[] {
  if (!config.isOn) return []
  return refusals(() => checkMasquerade(session.nft(), session.request, masqueradeFor(config, ips)))
}

/** CHECK: what a look at the kernel's rules refuses; the difference as a sentence. */
export function refusals(check: () => void): readonly string[] {
  try {
    check()
    return []
  } catch (error) {
    if (error instanceof Error && error instanceof KernelError) return [error.message]
    throw error
  }
}
