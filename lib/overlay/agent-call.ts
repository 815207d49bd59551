/** Where the agent is asked, and asking it. */

import type { Json } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { callDaemon, type Daemon, type DaemonAddress, isDaemonAway } from '../daemon/client.ts'

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

/** Reads `{"socket": ..., "timeout": seconds}` of that key; undefined when the configuration has none. */
export function readAgentAddress(config: Section): AgentAddress | undefined {
  const registry = config.section(agentKeyOf(config))
  if (registry === undefined) return undefined
  const socket = registry.text('socket') ?? ''
  const seconds = registry.integer('timeout', 1, 120) ?? DEFAULT_TIMEOUT
  if (socket !== '' && !socket.startsWith('/')) registry.problem('socket', 'must be an absolute path')
  return { socket: socket === '' ? DEFAULT_SOCKET : socket, milliseconds: seconds * 1000 }
}

/** Asks the agent. @throws {CniError} code 11 when the agent is away or has no connection to the registry */
export function askAgent(agent: AgentAddress, call: Json): Json {
  return callDaemon(AGENT, agent, call)
}

/** Whether the failure is that no agent runs. */
export function isAgentAway(error: Error): boolean {
  return isDaemonAway(AGENT, error)
}
