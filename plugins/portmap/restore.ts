/**
 * After `nft flush ruleset`, as a restart of the host's firewall has it, no container's ports are published any more. The
 * next ADD makes everybody's again, as the journal has them: it finds its own table missing, which it never is otherwise
 * while another container has ports.
 */

import { everyEntry } from '../../lib/attach/every-entry.ts'
import type { Session } from '../../lib/attach/session.ts'
import { ownerText } from '../../lib/attachment.ts'
import { addMembers, type Member } from '../../lib/nft/groups.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { type Made, madeIn } from './entry.ts'
import { isUnguarded, localhostMembers } from './localhost.ts'
import { isTableMissing, publishedMembers } from './nftables.ts'
import { isUnreachable } from './owners.ts'
import type { Published } from './published.ts'

/** What somebody took away. */
export interface Missing {
  readonly families: readonly (4 | 6)[]
  readonly guard: boolean
}

const FAMILIES: readonly (4 | 6)[] = [4, 6]

/** To be asked before the first element is added. */
export function findMissing(session: Session): Missing {
  return { families: FAMILIES.filter(one => isTableMissing(session.nft(), one)), guard: isUnguarded(session) }
}

/** Publishes again what other containers, which are still there, have had in what was missing. */
export function restoreOthers(session: Session, missing: Missing, plugin: string): void {
  if (missing.families.length === 0 && !missing.guard) return
  const own = ownerText(session.request)
  for (const { attachment: owner, entry } of everyEntry(session.request, plugin)) {
    const made = ownerText(owner) === own ? undefined : madeIn(entry, owner)
    if (made === undefined || isUnreachable(session, made)) continue
    const members = missingMembers(made, missing)
    try {
      if (members.length > 0) addMembers(session.nft(), members)
    } catch (error) {
      // What is not to be had for another one is no failure of this ADD.
      process.stderr.write(`publish the ports of ${made.published.comment} again: ${messageOf(error)}\n`)
    }
  }
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
