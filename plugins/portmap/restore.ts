/**
 * After `nft flush ruleset` or `iptables -t nat -F`, as a restart of the host's firewall has them, no container's ports are
 * published any more. The next ADD with ports, or the agent, makes everybody's again, as the journal has them: it finds its own
 * table missing, or nothing that leads to its chain of iptables, which never is so otherwise while another container has ports.
 */

import { everyEntry } from '../../lib/attach/every-entry.ts'
import { type Flushed, flushedFor } from '../../lib/attach/flushed.ts'
import type { Session } from '../../lib/attach/session.ts'
import { ownerText } from '../../lib/attachment.ts'
import { addMembers, type Member } from '../../lib/nft/groups.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Config } from './config.ts'
import { type Made, madeIn, NAME } from './entry.ts'
import { type ByIptables, publishAgain } from './iptables.ts'
import { isUnguarded, localhostMembers, needsLocalhost } from './localhost.ts'
import { isTableMissing, publishedMembers } from './nftables.ts'
import { isUnreachable } from './owners.ts'
import { isIptablesBaseMissing } from './ports.ts'
import type { Published } from './published.ts'

/** What is gone, whoever took it away. */
interface Missing {
  readonly families: readonly (4 | 6)[]
  readonly guard: boolean
}

const FAMILIES: readonly (4 | 6)[] = [4, 6]

/**
 * Publishes again what other containers, which are still there, have had in what is gone. Before anybody looks for what is
 * free: a port whose rules were flushed is still its owner's, and so is what was opened for 127.0.0.1.
 *
 * Only where something is gone that this ADD needs itself: whoever flushes one has flushed all, and a host without IPv6 must
 * not read everybody's records at each ADD.
 */
export function restoreOthers(session: Session, wanted: Published, { backend }: Config): void {
  const nft = session.nft()
  const own = wanted.addresses.map(one => one.address.family)
  const isGone = backend === 'iptables' ? isIptablesBaseMissing(nft, own) : own.some(one => isTableMissing(nft, one))
  if (isGone || (needsLocalhost(wanted) && isUnguarded(nft))) publishAll(flushedFor(session))
}

/** The same where anything of it is gone at all. To be called under the lock of the host's namespace. */
export function restorePublished(flushed: Flushed): void {
  const { nft } = flushed
  const isGone =
    isUnguarded(nft) || FAMILIES.some(one => isTableMissing(nft, one)) || isIptablesBaseMissing(nft, FAMILIES)
  if (isGone) publishAll(flushed)
}

function publishAll({ host, nft, stateDir, except }: Flushed): void {
  const missing = { families: FAMILIES.filter(one => isTableMissing(nft, one)), guard: isUnguarded(nft) }
  const lost: ByIptables[] = []
  for (const { attachment: owner, entry } of everyEntry(stateDir, NAME)) {
    const made = ownerText(owner) === except ? undefined : madeIn(entry, owner)
    if (made === undefined || isUnreachable(host, made)) continue
    const { published, way } = made
    if (way !== undefined) lost.push({ owner, published, way })
    const members = missingMembers(made, missing)
    try {
      if (members.length > 0) addMembers(nft, members)
    } catch (error) {
      // What is not to be had for another one is no failure of this ADD.
      process.stderr.write(`publish the ports of ${published.comment} again: ${messageOf(error)}\n`)
    }
  }
  if (lost.length > 0) publishAgain(lost)
}

function missingMembers(made: Made, missing: Missing): readonly Member[] {
  const { published } = made
  const guards = missing.guard ? localhostMembers(published, made.localhost) : []
  if (made.backend === 'iptables') return guards
  return publishedMembers(ofFamilies(published, missing.families)).concat(guards)
}

function ofFamilies(published: Published, families: readonly (4 | 6)[]): Published {
  const { mappings, sources, gates, comment } = published
  const addresses = published.addresses.filter(one => families.some(family => family === one.address.family))
  return { addresses, mappings, sources, gates, comment }
}
