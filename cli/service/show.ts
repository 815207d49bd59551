/** `patchbay service ls`, `inspect` and `ps`. */
import type { Call } from '../call.ts'
import { expandedOver, formatted, type Row } from '../format.ts'
import { jsonLine, reportError } from '../output.ts'
import { ask, type Counter, inspected, type MemberAnswer, type Summary } from './ask.ts'

const COLUMNS = ['Name', 'Network', 'Mode', 'Address', 'Members', 'Ports']
const FIELDS = [...COLUMNS, 'Alias', 'Sticky', 'Created', 'ID']
const MEMBER_COLUMNS = ['Service', 'Name', 'Host', 'Addresses', 'State']
const MEMBER_FIELDS = [...MEMBER_COLUMNS, 'ContainerID']

/** `service ls` */
export async function list(call: Call): Promise<number> {
  const { services, problems } = ask<{
    readonly services: readonly Summary[]
    readonly problems: readonly string[]
  }>(call, 'services', {})
  const rows = services.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(rowOf)
  call.output.out(await formatted(call, rows, { columns: COLUMNS, key: 'Name', fields: FIELDS }))
  for (const problem of problems) reportError(call.output, new Error(problem), call.asJson)
  return 0
}

export function rowOf({ name, running, service }: Summary): Row {
  return {
    Name: name,
    Network: service.network,
    Mode: service.mode,
    Address: service.vips,
    Members: running,
    Ports: (service.publish ?? []).map(one => `*:${one.port}->${one.target}/${one.protocol}`),
    Alias: service.alias,
    Sticky: service.sticky === true ? 'source' : 'none',
    Created: service.created,
    ID: service.id
  }
}

/** `service inspect SERVICE…` */
export async function inspect(call: Call): Promise<number> {
  const shown = each(call, name => {
    const one = inspected(call, name)
    const { Address, Members, Ports, ...rest } = rowOf(one)
    const Unpublished = one.unpublished.map(({ host, port, owner }) => ({ Host: host, Port: port, Owner: owner }))
    const Refused = one.refused.map(({ what, reason }) => ({ What: what, Reason: reason }))
    const shownMembers = one.members.map(shownMember)
    return { ...rest, VirtualIPs: Address, Running: Members, Ports, Unpublished, Refused, Members: shownMembers }
  })
  const template = call.text('format')
  const { out } = call.output
  if (template !== undefined) for (const one of shown) out(`${expandedOver(template, one)}\n`)
  else out(call.text('output') === 'yaml' ? (await import('yaml')).stringify(shown) : jsonLine(shown))
  return shown.length === call.words.length ? 0 : 1
}

function shownMember(one: MemberAnswer): object {
  return {
    Name: one.name,
    Host: one.host,
    ContainerID: one.containerId,
    Addresses: one.addresses,
    State: stateOf(one),
    Sent: shownCounter(one.sent),
    Received: shownCounter(one.received)
  }
}

function shownCounter({ packets, bytes }: Counter): object {
  return { Packets: packets, Bytes: bytes }
}

/** Of a host that has not been heard of nothing is known, but that it gets no new connections. */
function stateOf(one: MemberAnswer): string {
  return one.away ? 'host away' : 'running'
}

/** `service ps SERVICE…` */
export async function members(call: Call): Promise<number> {
  const found = each(call, name => inspected(call, name))
  const rows = found.flatMap(service =>
    service.members
      .toSorted((a, b) => (`${a.host} ${a.name}` < `${b.host} ${b.name}` ? -1 : 1))
      .map(one => ({
        Service: service.name,
        Name: one.name,
        Host: one.host,
        Addresses: one.addresses,
        State: stateOf(one),
        ContainerID: one.containerId
      }))
  )
  call.output.out(await formatted(call, rows, { columns: MEMBER_COLUMNS, key: 'Name', fields: MEMBER_FIELDS }))
  return found.length === call.words.length ? 0 : 1
}

/** Goes on after a failure. */
function each<T>(call: Call, look: (name: string) => T): readonly T[] {
  const found: T[] = []
  for (const name of call.words) {
    try {
      found.push(look(name))
    } catch (error) {
      reportError(call.output, error, call.asJson)
    }
  }
  return found
}
