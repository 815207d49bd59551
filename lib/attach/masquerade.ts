/**
 * `ipMasq` of a network: the host's address in place of the container's for what leaves the network. The journal has
 * what was masqueraded, so that DEL and GC need neither configuration nor namespace.
 */

import { type Attachment, ownerText } from '../attachment.ts'
import type { Request } from '../cni/plugin.ts'
import type { IpConfig } from '../cni/result.ts'
import { type Json, jsonArray, jsonString, memberOf, withMember } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import { findIptables } from '../iptables/iptables.ts'
import type { Net } from '../net/net.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  checkMasquerade,
  collectMasquerade,
  ensureMasquerade,
  type MasqueradeBackend,
  removeMasquerade
} from '../nft/masquerade.ts'
import type { Journal } from '../state/journal.ts'
import type { Undo } from '../undo.ts'
import { mayHaveRules } from './veth-port.ts'

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
  if (isOn && backend === 'iptables' && findIptables(4) === undefined && findIptables(6) === undefined) {
    throw config.unsupported('ipMasqBackend', 'neither iptables nor ip6tables is installed')
  }
  return { isOn, backend: backend === '' ? undefined : (backend as MasqueradeBackend) }
}

/**
 * Masquerades the addresses, after writing down that it will.
 *
 * @param entry the attachment's journal entry so far
 */
export function addMasquerade(
  host: Net,
  request: Request,
  config: MasqueradeConfig,
  ips: readonly IpConfig[],
  journal: Journal,
  entry: Json,
  undo: Undo
): void {
  if (!config.isOn) return
  const prefixes = ips.map(ip => ip.address)
  const noted = withMember(entry, 'masquerade', jsonArray(prefixes.map(prefix => jsonString(formatPrefix(prefix)))))
  journal.write(
    request.containerId,
    request.ifName,
    config.backend === undefined ? noted : withMember(noted, 'masqueradeBackend', jsonString(config.backend))
  )
  undo.push('masquerade', () => removeMasquerade(host.nft(), ownerOf(request), prefixes, config.backend))
  ensureMasquerade(host.nft(), ownerOf(request), prefixes, config.backend)
}

/** The attachment as the comments of nf_tables elements name it. */
export function ownerOf(request: Request): Attachment {
  return { network: request.network, containerId: request.containerId, ifName: request.ifName }
}

/**
 * Takes it back as the journal has it. Without an entry there is most often nothing, for runtimes call DEL before every
 * ADD: only where something else tells of an attachment are the rules searched for.
 */
export function delMasquerade(host: Net, request: Request, entry: Json | undefined): void {
  if (entry !== undefined) {
    removeNoted(host, ownerOf(request), entry)
    return
  }
  if (!request.config.boolean('ipMasq', false) || !mayHaveRules(host, request)) return
  const prefixes = request.prevResult?.ips.map(ip => ip.address)
  removeMasquerade(host.nft(), ownerOf(request), prefixes, prefixes === undefined ? 'nftables' : undefined)
}

function removeNoted(host: Net, owner: Attachment, entry: Json): void {
  const prefixes: IpPrefix[] = []
  for (const item of memberOf(entry, 'masquerade')?.items ?? []) {
    const prefix = parsePrefix(item.text)
    if (prefix !== undefined) prefixes.push(prefix)
  }
  if (prefixes.length === 0) return
  const backend = memberOf(entry, 'masqueradeBackend')?.text === 'iptables' ? 'iptables' : 'nftables'
  removeMasquerade(host.nft(), owner, prefixes, backend)
}

/** GC of what has no journal entry any more. */
export function gcStrayMasquerade(host: Net, request: Request): void {
  const isKnown = knownOwners(request)
  collectMasquerade(host.nft(), request.network, isKnown)
}

/** GC: whether an element of nf_tables belongs, by its comment, to an attachment that the runtime knows. */
export function knownOwners(request: Request): (comment: string) => boolean {
  const known = request.validAttachments.map(({ containerId, ifName }) =>
    ownerText({ network: request.network, containerId, ifName })
  )
  return comment => known.some(one => one === comment)
}

/** CHECK; the difference as a sentence. */
export function masqueradeProblems(
  host: Net,
  request: Request,
  config: MasqueradeConfig,
  ips: readonly IpConfig[]
): readonly string[] {
  if (!config.isOn) return []
  const prefixes = ips.map(ip => ip.address)
  return refusals(() => checkMasquerade(host.nft(), ownerOf(request), prefixes, config.backend))
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
