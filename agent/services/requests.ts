/** What `patchbay service` asks of the agent. */
import { type Json, jsonNull, withMember } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import type { NfCounter } from '../../lib/netlink/nf/set-element.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Named } from '../names/zone.ts'
import type { Carry } from '../requests.ts'
import type { Member } from './member.ts'
import { conflictText, type PortConflicts } from './port-conflicts.ts'
import {
  PROTOCOL_PROBLEM,
  portText,
  protocolNumber,
  readPublished,
  readService,
  type ServiceRecord,
  serviceToJson
} from './record.ts'
import { type Registrar, type Target, unknownService } from './registrar.ts'
import type { Services } from './services.ts'
import type { MemberTraffic } from './traffic.ts'

/** What answers them. */
export interface ServiceParts {
  /** This host's name. */
  readonly host: string
  readonly services: Services
  readonly registrar: Registrar
  readonly conflicts: PortConflicts
  /** Who of other hosts is on a network that is not followed here. */
  readonly look: (network: string, milliseconds: number) => Promise<readonly Named[]>
}

export const SERVICE_REQUESTS: ReadonlyMap<string, Carry<ServiceParts>> = new Map<string, Carry<ServiceParts>>([
  ['services', list],
  ['service-create', create],
  ['service-update', update],
  ['service-remove', remove],
  ['service-inspect', inspect]
])

/** @param request with `members`: who they are, too, without the traffic that `service-inspect` counts first */
async function list(parts: ServiceParts, request: DaemonRequest): Promise<Json> {
  const { host, services, conflicts } = parts
  const withMembers = request.members.boolean('members', false)
  request.members.finish()
  const elsewhere = services.list().flatMap(({ name }) =>
    conflicts
      .of(name)
      .filter(conflict => conflict.host !== host)
      .map(conflict => conflictText(name, conflict, `host ${JSON.stringify(conflict.host)}`))
  )
  const problems = [...services.problems(), ...elsewhere]
  const looked = new Map<string, readonly Named[]>()
  for (const network of new Set(services.list().map(one => one.network))) {
    try {
      looked.set(network, await parts.look(network, request.milliseconds))
    } catch (error) {
      problems.push(`look for members on network ${JSON.stringify(network)}: ${messageOf(error)}`)
    }
  }
  const one = (record: ServiceRecord): Json => {
    const members = services.membersOf(record, looked.get(record.network))
    const short = summary(record, members)
    if (!withMembers) return short
    return withMember(short, 'members', jsonOf(members.map(member => memberToJson(member, [], host))))
  }
  return jsonOf({ services: services.list().map(one), problems })
}

/** `service` is a record without what the agent gives it. */
async function create(parts: ServiceParts, request: DaemonRequest): Promise<Json> {
  const { services, registrar } = parts
  const name = request.text('name')
  const json = request.members.json('service') ?? jsonNull
  request.members.finish()
  // In the place of what is not decided yet; the record is judged as a whole.
  const record = readService(name, new Section(withMember(json, 'id', jsonOf('0'.repeat(64)))))
  const made = await registrar.create(record, request.milliseconds)
  services.learn(made)
  return summaryOfMade(parts, made, request.milliseconds)
}

async function update(parts: ServiceParts, request: DaemonRequest): Promise<Json> {
  const { services, registrar } = parts
  const name = request.text('name')
  const { members } = request
  const alias = members.text('alias')
  const isSticky = members.has('sticky') ? members.boolean('sticky', false) : undefined
  const published = members.has('publish') ? readPublished(members) : undefined
  const added = readPublished(members, 'publishAdd')
  const removed = members.sections('publishRemove').map(readTarget)
  members.finish()
  const change = { alias, isSticky, published, added, removed }
  const made = await registrar.update(name, change, request.milliseconds)
  services.learn(made)
  return summaryOfMade(parts, made, request.milliseconds)
}

/** It is made, whether or not its members can be told. */
async function summaryOfMade(parts: ServiceParts, made: ServiceRecord, milliseconds: number): Promise<Json> {
  const others = await parts.look(made.network, milliseconds).catch(() => [])
  return summary(made, parts.services.membersOf(made, others))
}

/** A port of the members: `{ "target": 80, "protocol": "tcp" }` */
function readTarget(section: Section): Target {
  const target = section.integer('target', 1, 65_535)
  const protocol = protocolNumber(section.text('protocol') ?? 'tcp')
  if (target === undefined) section.problem('target', 'is required: 1 to 65535')
  if (protocol === undefined) section.problem('protocol', PROTOCOL_PROBLEM)
  return { target: target ?? 0, protocol: protocol ?? 0 }
}

async function remove({ services, registrar }: ServiceParts, request: DaemonRequest): Promise<undefined> {
  const name = request.text('name')
  request.members.finish()
  await registrar.remove(name, request.milliseconds)
  services.forget(name)
  return undefined
}

async function inspect(parts: ServiceParts, request: DaemonRequest): Promise<Json> {
  const { host, services, conflicts } = parts
  const name = request.text('name')
  request.members.finish()
  const record = services.find(name)
  if (record === undefined) throw unknownService('inspect', name)
  const traffic = services.trafficOf(name)
  const members = services.membersOf(record, await parts.look(record.network, request.milliseconds))
  const told = members.map(one => memberToJson(one, traffic, host))
  const unpublished = conflicts.of(name).map(one => ({ host: one.host, port: portText(one), owner: one.owner }))
  const json = withMember(summary(record, members), 'members', jsonOf(told))
  const refused = services.refused(record).map(({ what, reason }) => ({ what, reason }))
  return withMember(withMember(json, 'unpublished', jsonOf(unpublished)), 'refused', jsonOf(refused))
}

function summary(record: ServiceRecord, members: readonly Member[]): Json {
  return jsonOf({
    name: record.name,
    service: serviceToJson(record),
    running: members.filter(one => !one.isAway).length
  })
}

function memberToJson(member: Member, traffic: readonly MemberTraffic[], host: string): Json {
  const addresses = member.addresses.map(formatAddress)
  const own = traffic.filter(one => addresses.includes(one.member))
  return jsonOf({
    host: member.host === '' ? host : member.host,
    containerId: member.containerId,
    name: member.name,
    addresses,
    away: member.isAway,
    sent: counterToJson(own.map(one => one.sent)),
    received: counterToJson(own.map(one => one.received))
  })
}

function counterToJson(all: readonly NfCounter[]): Json {
  return jsonOf({
    packets: all.reduce((sum, one) => sum + one.packets, 0),
    bytes: all.reduce((sum, one) => sum + one.bytes, 0)
  })
}
