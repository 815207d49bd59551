/**
 * `ipMasq` of a network: the host's address in place of the container's for what leaves the network. The journal has
 * what was masqueraded, so that DEL and GC need neither configuration nor namespace.
 */

import { ownerText } from '../attachment.ts'
import type { Request } from '../cni/plugin.ts'
import type { IpConfig } from '../cni/result.ts'
import { type Json, jsonArray, jsonString, memberOf } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import { hasIptables } from '../iptables/iptables.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  checkMasquerade,
  collectMasquerade,
  ensureMasquerade,
  type MasqueradeBackend,
  removeMasquerade
} from '../nft/masquerade.ts'
import type { Session } from './session.ts'
import { mayHaveRules } from './veth.ts'

const BACKENDS: readonly string[] = ['', 'nftables', 'iptables']

export interface MasqueradeConfig {
  readonly isOn: boolean
  /** undefined = chosen here */
  readonly backend: MasqueradeBackend | undefined
}

/**
 * Reads `ipMasq` and `ipMasqBackend`.
 *
 * @throws {ConfigError} when iptables is asked for and not there: before anything is made
 */
export function readMasquerade(config: Section): MasqueradeConfig {
  const isOn = config.boolean('ipMasq', false)
  const backend = config.oneOf('ipMasqBackend', BACKENDS) ?? ''
  if (isOn && backend === 'iptables' && !hasIptables()) {
    throw config.unsupported('ipMasqBackend', 'neither iptables nor ip6tables is installed')
  }
  return { isOn, backend: backend === '' ? undefined : (backend as MasqueradeBackend) }
}

/** Masquerades the addresses, after writing down that it will. */
export function addMasquerade(session: Session, config: MasqueradeConfig, ips: readonly IpConfig[]): void {
  if (!config.isOn) return
  const prefixes = ips.map(ip => ip.address)
  const noted = jsonArray(prefixes.map(prefix => jsonString(formatPrefix(prefix))))
  const { backend } = config
  session.recordAlso(
    backend === undefined
      ? [['masquerade', noted]]
      : [
          ['masquerade', noted],
          ['masqueradeBackend', jsonString(backend)]
        ]
  )
  session.undo.push('masquerade', () => removeMasquerade(session.nft(), session.request, prefixes, backend))
  ensureMasquerade(session.nft(), session.request, prefixes, backend)
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

function removeNoted(session: Session, entry: Json): void {
  const prefixes: IpPrefix[] = []
  for (const item of memberOf(entry, 'masquerade')?.items ?? []) {
    const prefix = parsePrefix(item.text)
    if (prefix !== undefined) prefixes.push(prefix)
  }
  if (prefixes.length === 0) return
  const backend = memberOf(entry, 'masqueradeBackend')?.text === 'iptables' ? 'iptables' : 'nftables'
  removeMasquerade(session.nft(), session.request, prefixes, backend)
}

/** GC of what has no journal entry any more. */
export function collectStrayMasquerade(session: Session): void {
  const isKnown = knownOwners(session.request)
  collectMasquerade(session.nft(), session.request.network, isKnown)
}

/** GC: whether an element of nf_tables belongs, by its comment, to an attachment that the runtime knows. */
export function knownOwners(request: Request): (comment: string) => boolean {
  const known = request.validAttachments.map(one => ownerText(one))
  return comment => known.some(one => one === comment)
}

/** CHECK; the difference as a sentence. */
export function masqueradeProblems(
  session: Session,
  config: MasqueradeConfig,
  ips: readonly IpConfig[]
): readonly string[] {
  if (!config.isOn) return []
  const prefixes = ips.map(ip => ip.address)
  return refusals(() => checkMasquerade(session.nft(), session.request, prefixes, config.backend))
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
