/**
 * Gives the container names that the others of its networks find it by, and a resolver that knows theirs.
 *
 *     dns --file--> agent --socket in the container's namespace, 127.0.0.11:53--> container
 *
 * The file is all that the agent needs: an ADD without one loses nothing, and is answered when it is there again.
 */

import { type AttachmentPlugin, attachmentPlugin, nothing, oneByOne } from '../../lib/attach/attachment-plugin.ts'
import { ATTACHMENT_CHANGED, ipsOf } from '../../lib/attach/interface.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Dns, Result } from '../../lib/cni/result.ts'
import { type Json, jsonBoolean, jsonObject, jsonString, memberOf, withMember } from '../../lib/config/json.ts'
import { callAbout, type DaemonCall } from '../../lib/daemon/client.ts'
import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import {
  DNS_PLUGIN,
  type NameLink,
  type NameRecord,
  RESOLVER,
  recordFromJson,
  recordToJson
} from '../../lib/names/record.ts'
import { isWord } from '../../lib/names/resolv-word.ts'
import { findTaker } from '../../lib/names/resolver-sockets.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { type AgentAddress, askAgent, callAgent, isAgentAway } from '../../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import type { Records } from '../../lib/state/records.ts'
import { messageOf, SysError } from '../../lib/sys/errors.ts'
import { type DnsConfig, namesOf, readConfig } from './config.ts'
import { handOver, leadNowhere } from './hand-over.ts'

/** The entry's member that tells where the agent was asked: DEL may have no configuration to go by. */
const SOCKET = 'socket'
const LOOPBACK = 'lo'
/** resolv.conf: how many dots a name has that is looked for as it is before it is looked for below search domains. */
const NDOTS = 'ndots:'
/** What a DEL waits for an agent that hangs: it finds the file gone anyway. */
const FAREWELL_MS = 1000

export function dns(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, own(DNS_PLUGIN))
}

/** The same under the name that podman's networks have: what they configure is configured the same way here. */
export function dnsname(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, own('dnsname'))
}

function own(name: string): AttachmentPlugin {
  return {
    name,
    since: '0.1.0',
    hasAddresses: false,
    isExclusive: false,
    records,
    add,
    check,
    removeRules: nothing,
    removeLinks: nothing,
    removeLinksTogether: oneByOne,
    forget,
    collectStrays: nothing,
    status
  }
}

/** Under one name, whatever the plugin is called by: the agent looks for these files. */
function records(request: Request, _plugin: string): Records {
  return journalOf(request, DNS_PLUGIN)
}

function add(session: Session): Result {
  const config = readConfig(session.request)
  const result = requiredPrevResult(session.request)
  // Other hosts have to hear of a name before ADD returns.
  const taker = config.isCluster ? undefined : findTaker(stateDirOf(session.request), session.request.network)
  if (taker === undefined) return nameAndAnnounce(session, config, result)
  try {
    const record = nameContainer(session, config, result)
    if (handOver(session, taker, record)) wake(config.agent)
    else announce(session, reachAgent(config.agent))
  } finally {
    taker.close()
  }
  return { ...result, dns: resolverOf(config, result.dns) }
}

function stateDirOf(request: Request): string {
  const stateDir = request.config.text('stateDir') ?? ''
  return stateDir === '' ? DEFAULT_STATE_DIR : stateDir
}

function nameAndAnnounce(session: Session, config: DnsConfig, result: Result): Result {
  // It wakes while the rest is done.
  const agent = reachAgent(config.agent)
  nameContainer(session, config, result)
  announce(session, agent)
  return { ...result, dns: resolverOf(config, result.dns) }
}

/** @returns undefined, and says so, where there is none */
function reachAgent(address: AgentAddress): DaemonCall | undefined {
  try {
    return callAgent(address)
  } catch (error) {
    if (!(error instanceof Error) || !isAgentAway(error)) throw error
    sayAway(error)
    return undefined
  }
}

/**
 * Has the agent take over what was handed to it, and does not wait for that: it looks before it says of any name that nobody has
 * it, and every second.
 */
function wake(address: AgentAddress): void {
  try {
    const call = callAgent(address)
    try {
      call.send(jsonObject([['do', jsonString('names-handed')]]))
    } finally {
      call.close()
    }
  } catch (error) {
    if (!(error instanceof Error) || !isAgentAway(error)) throw error
    sayAway(error)
  }
}

function nameContainer(session: Session, config: DnsConfig, result: Result): NameRecord {
  const { request } = session
  const { names, refused } = namesOf(request, config.aliases)
  for (const one of refused) say(`leave out ${JSON.stringify(one)}: it is no host name`)
  const record = recordOf(session, config, names, result)
  setLoopbackUp(session)
  session.record(withMember(recordToJson(record), SOCKET, jsonString(config.agent.socket)))
  return record
}

/** What a runtime writes into the container's resolv.conf. */
function resolverOf(config: DnsConfig, before: Dns): Dns {
  const search = (config.searches.length > 0 ? config.searches : wordsOf('search', before.search)).slice(0)
  if (config.domain !== '' && !search.includes(config.domain)) search.push(config.domain)
  const options = (config.options.length > 0 ? config.options : wordsOf('options', before.options)).slice(0)
  // Else a name of a container is looked for below each search domain first, and others are asked for it.
  if (!options.some(one => one.startsWith(NDOTS))) options.push(`${NDOTS}0`)
  const [domain] = wordsOf('domain', before.domain === undefined || before.domain === '' ? [] : [before.domain])
  return { domain, nameservers: [RESOLVER], search, options }
}

/**
 * What an earlier plugin says, as far as it can stand in a file of lines and words.
 *
 * Sequence prevented: it has the domain from somebody on the network, a line `nameserver …` in it; the runtime writes it into the
 * container's resolv.conf, and the container asks whom they like.
 */
function wordsOf(key: string, texts: readonly string[]): readonly string[] {
  const words: string[] = []
  for (const text of texts) {
    if (isWord(text)) words.push(text)
    else say(`leave out ${JSON.stringify(text)} of prevResult.dns.${key}: it is no word of resolv.conf`)
  }
  return words
}

function recordOf(session: Session, config: DnsConfig, names: readonly string[], result: Result): NameRecord {
  const { netns, ifName } = session.request
  const addresses: IpAddress[] = []
  const gateways: IpAddress[] = []
  for (const ip of ipsOf(result, ifName)) {
    addresses.push(ip.address.address)
    // Who must not reach out is told of no way.
    if (ip.gateway !== undefined && !config.isInternal) gateways.push(ip.gateway)
  }
  return {
    netns,
    netnsId: session.container().id(),
    names,
    addresses,
    gateways,
    links: config.links,
    domain: config.domain,
    upstreams: config.upstreams.length > 0 ? config.upstreams : formerResolvers(result),
    isInternal: config.isInternal,
    isCluster: config.isCluster
  }
}

/** Those that an earlier plugin of the chain has named are asked on. */
function formerResolvers(result: Result): readonly IpAddress[] {
  const former: IpAddress[] = []
  for (const text of result.dns.nameservers) {
    const address = parseAddress(text)
    // An earlier ADD of the same chain may have named ours.
    if (address !== undefined && formatAddress(address) !== RESOLVER) former.push(address)
  }
  return former
}

/** The resolver is an address of lo. Not every runtime sets it up. */
function setLoopbackUp(session: Session): void {
  const { links } = session.container()
  if (!links.raiseLoopback()) return
  session.undo.push('lo up', () => links.set(links.get(LOOPBACK).index, { up: false }))
}

/**
 * Tells the agent, and waits until the container is answered.
 *
 * @throws {CniError} code 7 when another container of a cluster network has the name; 11 without the registry
 */
function announce(session: Session, agent: DaemonCall | undefined): void {
  if (agent === undefined) return
  const { request } = session
  try {
    agent.send(callAbout(request, 'name-arrived', [['stateDir', jsonString(request.config.text('stateDir') ?? '')]]))
    agent.answer()
  } catch (error) {
    if (!(error instanceof Error) || !isAgentAway(error)) throw error
    sayAway(error)
  } finally {
    agent.close()
  }
}

function sayAway(error: Error): void {
  say(`${error.message}; names are answered as soon as it runs`)
}

function say(text: string): void {
  process.stderr.write(`dns: ${text}\n`)
}

function forget(session: Session, entry: Json): void {
  session.journal.remove(session.request)
  const socket = memberOf(entry, SOCKET)?.text ?? ''
  if (socket === '') return
  try {
    askAgent({ socket, milliseconds: FAREWELL_MS }, callAbout(session.request, 'name-left', []))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (isAgentAway(error)) removeRules(session, entry)
    // It hears of the file's end all the same.
    else say(messageOf(error))
  }
}

/**
 * Of a container that goes on without this network, while no agent is there to remove them. Where another of its networks has
 * names, the next agent makes them again.
 */
function removeRules(session: Session, entry: Json): void {
  const { netnsId } = recordFromJson(entry)
  const container = session.findContainer(entry)
  if (container === undefined || container.id() !== netnsId) return
  try {
    leadNowhere(session, container)
  } catch (error) {
    if (!(error instanceof SysError)) throw error
  }
}

function check(session: Session): readonly string[] {
  const { request } = session
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  const entry = session.journal.read(request)
  if (entry === undefined) return ['its names are written down nowhere']
  const { names } = namesOf(request, config.aliases)
  const problems = differences(recordFromJson(entry), recordOf(session, config, names, result), config)
  if (problems.length > 0) return problems
  try {
    askAgent(config.agent, callAbout(request, 'name-check', []))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (!isAgentAway(error)) return [findingOf(error)]
  }
  return []
}

/** The agent's finding is one of ours; anything else fails CHECK as what it is. */
function findingOf(error: Error): string {
  if (error instanceof CniError && error.code === ATTACHMENT_CHANGED) return error.message
  throw error
}

function differences(found: NameRecord, wanted: NameRecord, config: DnsConfig): readonly string[] {
  const problems: string[] = []
  if (found.netnsId !== wanted.netnsId) problems.push('the namespace is another than that of ADD')
  if (!sameLinks(found.links, wanted.links)) problems.push('it calls others by other names')
  const [was, is] = [found.names.join(' '), wanted.names.join(' ')]
  if (was !== is) problems.push(`its names are ${JSON.stringify(was)}, not ${JSON.stringify(is)}`)
  if (!sameAddresses(found.addresses, wanted.addresses)) problems.push('its names stand for other addresses')
  if (found.domain !== wanted.domain) problems.push(`its domain is ${JSON.stringify(found.domain)}`)
  // Without remoteServers they are what the chain had before ADD named ours.
  if (config.upstreams.length > 0 && !sameAddresses(found.upstreams, wanted.upstreams))
    problems.push('others are asked for what nobody here is called')
  if (found.isInternal !== wanted.isInternal) problems.push('whether others are asked has changed')
  if (found.isCluster !== wanted.isCluster) problems.push('whether other hosts know it has changed')
  return problems
}

function sameLinks(a: readonly NameLink[], b: readonly NameLink[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) {
    if (a[i]?.alias !== b[i]?.alias || a[i]?.target !== b[i]?.target) return false
  }
  return true
}

function sameAddresses(a: readonly IpAddress[], b: readonly IpAddress[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) {
    const [left, right] = [a[i], b[i]]
    if (left === undefined || right === undefined || !addressesEqual(left, right)) return false
  }
  return true
}

/** @throws {CniError} code 50 without an agent; 51 when the names of a cluster network cannot be published */
function status(session: Session): void {
  const config = readConfig(session.request)
  try {
    const cluster = jsonBoolean(config.isCluster)
    askAgent(
      config.agent,
      jsonObject([
        ['do', jsonString('name-status')],
        ['network', jsonString(session.request.network)],
        ['cluster', cluster]
      ])
    )
  } catch (error) {
    if (!(error instanceof Error) || !isAgentAway(error)) throw error
    throw new CniError(NOT_AVAILABLE, error.message, 'start it: patchbay agent')
  }
}
