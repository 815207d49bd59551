/**
 * Masquerade by iptables, in the chains and comments of the reference plugins:
 *
 *     *nat
 *     -A POSTROUTING -s 10.4.0.5/32 -m comment --comment "name: \"net\" id: \"id\"" -j CNI-<hash>
 *     -A CNI-<hash> -d 10.4.0.0/24 -m comment --comment "…" -j ACCEPT
 *     -A CNI-<hash> ! -d 224.0.0.0/4 -m comment --comment "…" -j MASQUERADE
 *
 * The hash is of network and container, so the interfaces of one container on one network share the chain: it goes with
 * the last jump to it.
 */

import { type Attachment, ownerText } from '../attachment.ts'
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { formatPrefix, hostPrefix, type IpPrefix, networkOf } from '../ip/prefix.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  attachmentChain,
  changeIptables,
  commentMatch,
  findIptables,
  hasChain,
  listIptables,
  withIptablesLock
} from './iptables.ts'
import { restoreIptables } from './restore.ts'

const FAMILIES: readonly (4 | 6)[] = [4, 6]
/** What the rules of an attachment are told by, as `-S` prints them. */
const COMMENT = ' --comment "name: '

/** As lib/nft/masquerade.ts has it. */
export interface IptablesMasquerade {
  readonly addresses: readonly IpPrefix[]
  readonly excluded: readonly IpPrefix[]
  readonly sources: readonly IpAddress[]
}

/** @returns whether nobody was masqueraded before in one of the families: nobody has needed it, or somebody has taken the rules away */
export function addIptablesMasquerade(owner: Attachment, wanted: IptablesMasquerade): boolean {
  const chain = chainOf(owner)
  // Somebody who finds nobody masqueraded may be making the same rules at the same time.
  return withIptablesLock(() => {
    let isFirst = false
    for (const family of FAMILIES) {
      if (!wanted.addresses.some(one => one.address.family === family)) continue
      const present = listIptables(family, 'nat', chain)
      const jumps = listIptables(family, 'nat', 'POSTROUTING') ?? []
      isFirst = isFirst || !jumps.some(rule => rule.indexOf(COMMENT) > 0)
      const isThere = present === undefined ? [] : [`:${chain} `]
      changeIptables(family, 'nat', missingLines(isThere.concat(present ?? [], jumps), owner, wanted, family))
    }
    return isFirst
  })
}

/** An attachment that has lost its rules. */
export interface LostMasquerade {
  readonly owner: Attachment
  readonly wanted: IptablesMasquerade
}

/** Adds again what attachments have lost. */
export function addIptablesMasqueradeAgain(lost: readonly LostMasquerade[]): void {
  if (lost.length === 0) return
  withIptablesLock(() => {
    for (const family of FAMILIES) {
      const here = lost.filter(({ wanted }) => wanted.addresses.some(one => one.address.family === family))
      const own = here.map(({ owner, wanted }) => ({
        what: `masquerade ${ownerText(owner)}`,
        linesFor: (saved: readonly string[]) => missingLines(saved, owner, wanted, family)
      }))
      restoreIptables({ family, table: 'nat', engine: '' }, own)
    }
    return true
  })
}

/** @param saved of the table, at least the attachment's chain and POSTROUTING */
function missingLines(
  saved: readonly string[],
  owner: Attachment,
  wanted: IptablesMasquerade,
  family: 4 | 6
): readonly string[] {
  const chain = chainOf(owner)
  const own = wanted.addresses.filter(one => one.address.family === family)
  const lines = hasChain(saved, chain) ? [] : [`-N ${chain}`]
  const untouched = own.concat(wanted.excluded.filter(one => one.address.family === family))
  for (const rule of untouched.map(one => subnetRule(owner, chain, one))) {
    // Before the masquerade, which would have the packets first.
    if (!isPresent(saved, rule)) lines.push(`-I${rule.slice(2)}`)
  }
  const last = [masqueradeRule(owner, chain, wanted, family)]
  for (const rule of last.concat(own.map(one => jumpRule(owner, chain, one)))) {
    if (!isPresent(saved, rule)) lines.push(rule)
  }
  return lines
}

function chainOf(owner: Attachment): string {
  return attachmentChain('CNI-', owner.network, owner.containerId)
}

/** @param addresses undefined = all jumps to the container's chain */
export function removeIptablesMasquerade(owner: Attachment, addresses: readonly IpPrefix[] | undefined): boolean {
  const chain = chainOf(owner)
  let removed = false
  for (const family of FAMILIES) {
    if (findIptables(family) === undefined) continue
    const present = listIptables(family, 'nat', chain)
    if (present === undefined) continue
    const jumps = (listIptables(family, 'nat', 'POSTROUTING') ?? []).filter(rule => rule.endsWith(` -j ${chain}`))
    const own = addresses === undefined ? jumps : jumps.filter(rule => addresses.some(one => isFrom(rule, one)))
    const lines = own.map(rule => `-D ${rule.slice('-A '.length)}`)
    if (own.length === jumps.length) lines.push(`-F ${chain}`, `-X ${chain}`)
    changeIptables(family, 'nat', lines)
    removed = removed || lines.length > 0
  }
  return removed
}

/** @throws {KernelError} ENOENT when a rule is missing */
export function checkIptablesMasquerade(owner: Attachment, wanted: IptablesMasquerade): void {
  const chain = chainOf(owner)
  for (const address of wanted.addresses) {
    const { family } = address.address
    const untouched = [address].concat(wanted.excluded.filter(one => one.address.family === family))
    const present = listIptables(family, 'nat', chain)
    const jumps = listIptables(family, 'nat', 'POSTROUTING')
    const isThere =
      untouched.every(one => isPresent(present, subnetRule(owner, chain, one))) &&
      isPresent(present, masqueradeRule(owner, chain, wanted, family)) &&
      isPresent(jumps, jumpRule(owner, chain, address))
    if (isThere) continue
    const object = formatPrefix(address)
    throw new KernelError('find masquerade', object, 'ENOENT', `iptables chain ${chain} is not complete`)
  }
}

function isPresent(rules: readonly string[] | undefined, rule: string): boolean {
  return rules?.some(one => one === rule) === true
}

function isFrom(rule: string, address: IpPrefix): boolean {
  return rule.indexOf(` -s ${formatPrefix(hostPrefix(address.address))} `) > 0
}

function comment(owner: Attachment): string {
  const text = `name: ${JSON.stringify(owner.network)} id: ${JSON.stringify(owner.containerId)}`
  return commentMatch(text)
}

function subnetRule(owner: Attachment, chain: string, address: IpPrefix): string {
  return `-A ${chain} -d ${formatPrefix(networkOf(address))} ${comment(owner)} -j ACCEPT`
}

function masqueradeRule(owner: Attachment, chain: string, wanted: IptablesMasquerade, family: 4 | 6): string {
  const source = wanted.sources.find(one => one.family === family)
  const target = source === undefined ? 'MASQUERADE' : `SNAT --to-source ${formatAddress(source)}`
  return `-A ${chain} ! -d ${family === 4 ? '224.0.0.0/4' : 'ff00::/8'} ${comment(owner)} -j ${target}`
}

function jumpRule(owner: Attachment, chain: string, address: IpPrefix): string {
  return `-A POSTROUTING -s ${formatPrefix(hostPrefix(address.address))} ${comment(owner)} -j ${chain}`
}
