/** `macspoofchk`: the container may send with the MAC of its interface and no other. */

import { knownOwners, ownerOf, refusals } from '../../lib/attach/masquerade.ts'
import { hostEndName, mayHaveRules } from '../../lib/attach/veth-port.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, memberOf } from '../../lib/config/json.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { checkSpoofCheck, collectSpoofChecks, ensureSpoofCheck, removeSpoofCheck } from '../../lib/nft/spoof-check.ts'
import type { Undo } from '../../lib/undo.ts'
import type { BridgeConfig } from './config.ts'

/** Drops what the port lets in with another MAC than the container's end has. */
export function addSpoofCheck(host: Net, request: Request, port: Link, end: Link, undo: Undo): void {
  if (end.mac === undefined) return
  undo.push('spoof check', () => removeSpoofCheck(host.nft(), ownerOf(request), port.name))
  ensureSpoofCheck(host.nft(), ownerOf(request), { name: port.name, mac: end.mac })
}

/** By the journal, or by the configuration where there is no entry: nothing is looked for without either. */
export function delSpoofCheck(host: Net, request: Request, entry: Json | undefined): void {
  const isOn =
    entry === undefined
      ? request.config.boolean('macspoofchk', false) && mayHaveRules(host, request)
      : memberOf(entry, 'macspoofchk')?.text === 'true'
  if (isOn) removeSpoofCheck(host.nft(), ownerOf(request), hostEndName(request))
}

/** GC of what has no journal entry any more. */
export function gcStraySpoofChecks(host: Net, request: Request): void {
  collectSpoofChecks(host.nft(), request.network, knownOwners(request))
}

/** CHECK; the difference as a sentence. */
export function spoofProblems(host: Net, container: Net, request: Request, config: BridgeConfig): readonly string[] {
  if (!config.spoofCheck) return []
  const mac = container.links.find(request.ifName)?.mac
  if (mac === undefined) return []
  return refusals(() => checkSpoofCheck(host.nft(), ownerOf(request), { name: hostEndName(request), mac }))
}
