/** Where the agent is asked, and asking it. */

import type { Json } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { callDaemon, type Daemon, type DaemonAddress, DaemonCall, isDaemonAway } from '../daemon/client.ts'

export const DEFAULT_SOCKET = '/run/patchbay/agent.sock'
const DEFAULT_TIMEOUT = 10

const AGENT: Daemon = { name: 'the agent', start: 'start it: patchbay agent (systemctl start patchbay-agent)' }

/** How to reach the agent: the configuration's `registry`. */
export type AgentAddress = DaemonAddress

/**
 * The key that names the agent: "encrypted" where it is an object.
 *
 * Sequence prevented: a host is set back to a version of the plugin that knows no encryption. It passes over `"encrypted": true` as
 * over every key that it does not know, and has the network in clear. Without "registry" it finds no other hosts, and refuses.
 */
export function agentKeyOf(config: Section): 'encrypted' | 'registry' {
  return config.json('encrypted')?.type === 'object' ? 'encrypted' : 'registry'
}

/** Reads what that key says; undefined when the configuration has none. */
export function readAgentAddress(config: Section): AgentAddress | undefined {
  const registry = config.section(agentKeyOf(config))
  return registry === undefined ? undefined : agentAddressIn(registry, DEFAULT_TIMEOUT)
}

/**
 * Reads `{"socket": ..., "timeout": seconds}`.
 *
 * @param patience what the timeout is where none is given, s
 */
export function agentAddressIn(section: Section, patience: number): AgentAddress {
  const socket = section.text('socket') ?? ''
  const seconds = section.integer('timeout', 1, 120) ?? patience
  if (socket !== '' && !socket.startsWith('/')) section.problem('socket', 'must be an absolute path')
  return { socket: socket === '' ? DEFAULT_SOCKET : socket, milliseconds: seconds * 1000 }
}

/** Asks the agent. @throws {CniError} code 11 when the agent is away or has no connection to the registry */
export function askAgent(agent: AgentAddress, call: Json): Json {
  return callDaemon(AGENT, agent, call)
}

/** A call in its parts. @throws {CniError} code 11 when the agent is away */
export function callAgent(agent: AgentAddress): DaemonCall {
  return new DaemonCall(AGENT, agent)
}

/** Whether the failure is that no agent runs. */
export function isAgentAway(error: Error): boolean {
  return isDaemonAway(AGENT, error)
}
