/**
 * cluster gives addresses that are unique across hosts: all hosts take them from one pool, by way of the agent and its
 * registry.
 *
 *     plugin on A --+                                     +-- plugin on B
 *                   +--> agent A --> etcd <-- agent B <---+
 *                        one transaction decides who gets 10.42.0.7
 */

import { CniError, NOT_AVAILABLE, TRY_AGAIN_LATER } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { type IpConfig, NO_DNS, type Result } from '../../lib/cni/result.ts'
import { type Json, jsonArray, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import { attachmentsToJson, callAbout } from '../../lib/daemon/client.ts'
import { noteReleased } from '../../lib/daemon/released.ts'
import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { askAgent, isAgentAway } from '../../lib/overlay/agent-call.ts'
import type { Pool } from '../../lib/ranges/pool.ts'
import { type RangeSet, setText } from '../../lib/ranges/range-set.ts'
import { LEASE_DIFFERS, notInSets } from '../../lib/ranges/refusals.ts'
import { type ClusterConfig, readAgentOnly, readConfig } from './config.ts'

export function cluster(): Plugin {
  return { name: 'cluster', since: '0.1.0', givesAddresses: true, add, del, check, gc, status }
}

function add(request: Request): Result {
  const config = readConfig(request)
  const answer = askAgent(
    config.agent,
    callAbout(request, 'take-addresses', [
      ['pool', jsonString(config.poolName)],
      ['sets', setsToJson(config.pool, config.requested)]
    ])
  )
  const addresses = addressesOf(answer)
  const ips: IpConfig[] = []
  for (let i = 0; i < config.pool.sets.length; i += 1) {
    const address = addresses[i]
    if (address === undefined || config.pool.setOf(address) !== i) throw strangeAnswer(config)
    ips.push(config.pool.grantOf(address))
  }
  return { interfaces: [], ips, routes: config.routes, dns: NO_DNS }
}

/** Every set's spans, and the address that is wanted of it. */
function setsToJson(pool: Pool, requested: readonly IpAddress[]): Json {
  const asked = requested.slice(0)
  const sets: Json[] = []
  for (let i = 0; i < pool.sets.length; i += 1) {
    const wanted = pool.ofSet(i, asked)[0]
    if (wanted !== undefined) asked.splice(asked.indexOf(wanted), 1)
    // One that is asked for outside of the ranges is looked for where it may be, when it is taken and when it is given back.
    const set = wanted === undefined || pool.isInRange(wanted) ? pool.sets[i] : pool.askable()[i]
    if (set !== undefined) sets.push(setToJson(set, wanted))
  }
  if (asked.length > 0) throw notInSets(pool.askable(), asked)
  return jsonArray(sets)
}

function setToJson(set: RangeSet, wanted: IpAddress | undefined): Json {
  const spans = set.spans.map(span =>
    jsonObject([
      ['first', jsonString(formatAddress(span.first))],
      ['last', jsonString(formatAddress(span.last))]
    ])
  )
  return jsonObject([
    ['path', jsonString(set.path)],
    ['spans', jsonArray(spans)],
    ['wanted', wanted === undefined ? undefined : jsonString(formatAddress(wanted))]
  ])
}

function strangeAnswer(config: ClusterConfig): CniError {
  const message = `take addresses from pool ${JSON.stringify(config.poolName)}: the agent gave others than were asked for`
  return new CniError(TRY_AGAIN_LATER, message, 'plugin and agent are of different versions: install one of them anew')
}

/** An agent that does not run gives it back when it starts. */
function del(request: Request): void {
  const agent = readAgentOnly(request)
  try {
    askAgent(agent, callAbout(request, 'release-addresses', []))
  } catch (error) {
    if (!(error instanceof Error && isAgentAway(error))) throw error
    const { network, containerId, ifName } = request
    noteReleased(agent.socket, { network, containerId, ifName })
  }
}

/** One address of each set, and the same in prevResult: another one belongs to somebody else. */
function check(request: Request): void {
  const config = readConfig(request)
  const held = addressesOf(askAgent(config.agent, callAbout(request, 'addresses', [])))
  const faults: string[] = []
  const { pool } = config
  for (let i = 0; i < pool.sets.length; i += 1) {
    const set = pool.sets[i]
    const own = pool.ofSet(i, held)
    if (set !== undefined && own.length === 0)
      faults.push(`no address of ${set.path} (${setText(set)}) is leased to it`)
    for (const ip of request.prevResult?.ips ?? []) {
      const address = ip.address.address
      if (pool.setOf(address) !== i || !pool.canGive(address) || own.some(one => addressesEqual(one, address))) continue
      faults.push(`prevResult has ${JSON.stringify(formatAddress(address))}, which is not leased to it`)
    }
  }
  if (faults.length === 0) return
  const who = `container ${JSON.stringify(request.containerId)} interface ${JSON.stringify(request.ifName)}`
  const message = `check leases of ${who}: ${faults.join('; ')}`
  throw new CniError(LEASE_DIFFERS, message, `pool ${JSON.stringify(config.poolName)}: attach the container again`)
}

/** This host's leases only: of other hosts' containers this runtime knows nothing. */
function gc(request: Request): void {
  const keep = attachmentsToJson(request.validAttachments)
  askAgent(readAgentOnly(request), callAbout(request, 'collect-addresses', [['keep', keep]]))
}

function status(request: Request): void {
  const config = readConfig(request)
  const usage = askAgent(
    config.agent,
    callAbout(request, 'usage', [
      ['pool', jsonString(config.poolName)],
      ['sets', setsToJson(config.pool, [])]
    ])
  )
  const full: string[] = []
  for (const set of memberOf(usage, 'sets')?.items ?? []) {
    const taken = memberOf(set, 'taken')?.text ?? '0'
    const size = memberOf(set, 'size')?.text ?? '0'
    if (Number(taken) < Number(size)) continue
    full.push(`${memberOf(set, 'path')?.text ?? ''} has ${taken} of ${size} addresses taken`)
  }
  if (full.length === 0) return
  throw new CniError(
    NOT_AVAILABLE,
    `find free addresses in pool ${JSON.stringify(config.poolName)}: ${full.join('; ')}`,
    'remove containers, widen the range, or remove leases of containers that are gone with the verb GC'
  )
}

function addressesOf(answer: Json): readonly IpAddress[] {
  const addresses: IpAddress[] = []
  for (const item of memberOf(answer, 'ips')?.items ?? []) {
    const address = parseAddress(item.text)
    if (address !== undefined) addresses.push(address)
  }
  return addresses
}
