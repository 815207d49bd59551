/** What plugins ask of the agent: each request read, carried out, and its result as JSON. */
import { CniError, INVALID_CONFIG } from '../lib/cni/error.ts'
import { readAddress } from '../lib/config/addresses.ts'
import { type Json, jsonNull } from '../lib/config/json.ts'
import { jsonOf } from '../lib/config/plain-json.ts'
import type { Section } from '../lib/config/section.ts'
import type { DaemonRequest } from '../lib/daemon/request.ts'
import type { Tunnel } from '../lib/overlay/tunnel.ts'
import { tunnelFromJson } from '../lib/overlay/tunnel-json.ts'
import type { AddressSet, Span } from './address-pool.ts'
import type { Agent } from './agent.ts'
import { type Carry, nothing, patience } from './requests.ts'

export const PLUGIN_REQUESTS: ReadonlyMap<string, Carry<Agent>> = new Map<string, Carry<Agent>>([
  ['join', join],
  ['publish', publish],
  ['withdraw', (agent, request) => nothing(() => agent.withdraw(request.attachment()))],
  ['check', check],
  ['collect', (agent, request) => nothing(() => agent.collectEndpoints(request.stray()))],
  ['status', agent => nothing(() => agent.refuseWhenInTrouble())],
  ['take-addresses', takeAddresses],
  ['release-addresses', (agent, request) => nothing(() => release(agent, request))],
  ['collect-addresses', (agent, request) => nothing(() => agent.addresses.collect(request.stray()))],
  ['addresses', heldAddresses],
  ['usage', usage]
])

async function join(agent: Agent, request: DaemonRequest): Promise<Json> {
  const learning = await agent.join(readTunnel(request), request.milliseconds)
  return jsonOf({ learning })
}

async function publish(agent: Agent, request: DaemonRequest): Promise<undefined> {
  const { members } = request
  const wanted = {
    ...request.attachment(),
    mac: request.text('mac'),
    ips: members.textList('ips'),
    // An older plugin, which runs while a host is upgraded, does not tell it.
    netns: members.text('netns') ?? '',
    hostEnd: request.text('hostEnd'),
    tunnel: readTunnel(request),
    gateways: members.textList('gateways'),
    stateDir: request.text('stateDir')
  }
  members.finish()
  await agent.publish(wanted, request.milliseconds)
  return undefined
}

async function check(agent: Agent, request: DaemonRequest): Promise<undefined> {
  await agent.check(request.attachment(), request.milliseconds)
  return undefined
}

/** With DEL's end the address is free for a container on any host, as far as the registry can be reached. */
async function release(agent: Agent, request: DaemonRequest): Promise<void> {
  agent.addresses.release(request.attachment())
  await agent.addresses.released(patience(request))
}

async function heldAddresses(agent: Agent, request: DaemonRequest): Promise<Json> {
  return addressList(await agent.addresses.heldBy(request.attachment(), request.milliseconds))
}

async function takeAddresses(agent: Agent, request: DaemonRequest): Promise<Json> {
  const pool = request.name('pool')
  const sets = readSets(request)
  return addressList(await agent.addresses.take(request.attachment(), pool, sets, request.milliseconds))
}

async function usage(agent: Agent, request: DaemonRequest): Promise<Json> {
  const pool = request.name('pool')
  const sets = readSets(request)
  agent.refuseWhenInTrouble()
  const counted = await agent.addresses.usage(pool, sets, request.milliseconds)
  const rows = counted.map(one => jsonOf({ path: one.path, taken: one.taken, size: one.size }))
  return jsonOf({ sets: rows })
}

function addressList(ips: readonly string[]): Json {
  return jsonOf({ ips })
}

function readTunnel(request: DaemonRequest): Tunnel {
  const json = request.members.json('tunnel') ?? jsonNull
  const tunnel = json.type === 'object' ? tunnelFromJson(json) : undefined
  if (tunnel === undefined) throw new CniError(INVALID_CONFIG, 'read request: tunnel must be a tunnel')
  return tunnel
}

/** One address is wanted of each. @throws {ConfigError} */
function readSets(request: DaemonRequest): readonly AddressSet[] {
  const { members } = request
  if (!members.has('sets')) members.problem('sets', 'is required: an array of objects')
  const sets = members.sections('sets').map(set => ({
    path: set.text('path') ?? '',
    spans: set.sections('spans').flatMap(readSpan),
    wanted: readAddress(set, 'wanted')
  }))
  members.finish()
  return sets
}

function readSpan(span: Section): readonly Span[] {
  const first = readAddress(span, 'first')
  const last = readAddress(span, 'last')
  if (first !== undefined && last !== undefined) return [{ first, last }]
  span.problem('first', 'and "last" must be addresses')
  return []
}
