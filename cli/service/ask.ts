/** The agent of this host, asked about services. */
import type { PlainObject } from '../../lib/config/plain-json.ts'
import { AgentClient } from '../agent-client.ts'
import type { Call } from '../call.ts'
import { CommandError } from '../output.ts'

export interface Summary {
  readonly name: string
  /** How many members get connections. */
  readonly running: number
  readonly service: {
    readonly id: string
    readonly created: string
    readonly network: string
    readonly alias: string
    readonly mode: 'vip' | 'dnsrr'
    readonly vips: readonly string[]
    readonly sticky?: boolean
    readonly publish?: readonly { readonly port: number; readonly target: number; readonly protocol: string }[]
  }
}

export interface Counter {
  readonly packets: number
  readonly bytes: number
}

export interface MemberAnswer {
  readonly host: string
  readonly containerId: string
  readonly name: string
  readonly addresses: readonly string[]
  readonly away: boolean
  readonly sent: Counter
  readonly received: Counter
}

/** A host that does not publish a port, because a container there has it. */
interface UnpublishedAnswer {
  readonly host: string
  /** `8001/tcp` */
  readonly port: string
  readonly owner: string
}

/** What the service goes without. */
interface RefusedAnswer {
  /** An address, or a port such as `8001/tcp`. */
  readonly what: string
  /** Such as that an older service has it. */
  readonly reason: string
}

export interface Inspected extends Summary {
  readonly members: readonly MemberAnswer[]
  readonly unpublished: readonly UnpublishedAnswer[]
  readonly refused: readonly RefusedAnswer[]
}

/** What one request may take, ms. */
const PATIENCE_MS = 15_000

/** @throws {CommandError} the agent's own reason, or that no agent is there */
export function ask<T>(call: Call, what: string, members: PlainObject): T {
  return new AgentClient(call.text('agent-socket')).ask<T>(what, members, PATIENCE_MS)
}

/** The services of a network; none where no agent runs. */
export function servicesOn(call: Call, network: string): readonly Summary[] {
  if (!new AgentClient(call.text('agent-socket')).isThere) return []
  try {
    const { services } = ask<{ readonly services: readonly Summary[] }>(call, 'services', {})
    return services.filter(one => one.service.network === network)
  } catch (error) {
    if (error instanceof CommandError) return []
    throw error
  }
}

export function inspected(call: Call, name: string): Inspected {
  return ask(call, 'service-inspect', { name })
}
