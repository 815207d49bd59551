/** The configuration of cluster: host-local's ranges, and the agent to ask. */
import { everyRequestedAddress } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { Route } from '../../lib/cni/result.ts'
import { readRoutes } from '../../lib/cni/result-json.ts'
import { ConfigError, type Section } from '../../lib/config/section.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { type AgentAddress, DEFAULT_SOCKET, readAgentAddress } from '../../lib/overlay/agent-call.ts'
import { type Pool, readPool } from '../../lib/ranges/pool.ts'

export interface ClusterConfig {
  readonly agent: AgentAddress
  /** The name of the pool in the registry: networks of one pool share their addresses. */
  readonly poolName: string
  readonly pool: Pool
  readonly routes: readonly Route[]
  /** Addresses that the caller wants, each once. */
  readonly requested: readonly IpAddress[]
}

const DEFAULT_MILLISECONDS = 10_000

/** @throws {ConfigError} that lists everything wrong */
export function readConfig(request: Request): ClusterConfig {
  const ipam = request.config.section('ipam')
  if (ipam === undefined) throw new ConfigError(['ipam is required'])
  const config: ClusterConfig = {
    agent: agentOf(request, ipam),
    poolName: readPoolName(request, ipam),
    pool: readPool(request, ipam),
    routes: readRoutes(ipam.sections('routes')),
    requested: request.command === 'ADD' ? everyRequestedAddress(request) : []
  }
  request.config.finish()
  return config
}

/** All that DEL and GC need, whatever has become of the ranges. */
export function readAgentOnly(request: Request): AgentAddress {
  return agentOf(request, request.config.section('ipam'))
}

/** `ipam.registry`, else that of the network. */
function agentOf(request: Request, ipam: Section | undefined): AgentAddress {
  const own = ipam === undefined ? undefined : readAgentAddress(ipam)
  return own ?? readAgentAddress(request.config) ?? { socket: DEFAULT_SOCKET, milliseconds: DEFAULT_MILLISECONDS }
}

function readPoolName(request: Request, ipam: Section): string {
  const pool = ipam.text('pool') ?? ''
  if (pool !== '' && !/^[^\s/:]+$/.test(pool)) ipam.problem('pool', 'must be a name without "/", ":" and blanks')
  return pool === '' ? request.network : pool
}
