/** The plugin's conversation with the agent: what is here is told to the other hosts, and withdrawn again. */
import { gatewayPrefixes } from '../../lib/attach/gateway.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { IpConfig } from '../../lib/cni/result.ts'
import { type Json, jsonArray, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import { attachmentsToJson, callAbout } from '../../lib/daemon/client.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import { formatPrefix } from '../../lib/ip/prefix.ts'
import { type AgentAddress, askAgent, isAgentAway } from '../../lib/overlay/agent-call.ts'
import type { Tunnel } from '../../lib/overlay/tunnel.ts'
import { textOf, tunnelToJson } from '../../lib/overlay/tunnel-json.ts'

/**
 * Asks before anything is made: a network whose registry is away takes no new containers.
 *
 * @returns the tunnel as this registry needs it: where it does not know every endpoint, the tunnel has to learn
 * @throws {CniError} code 11 with the reason
 */
export function join(agent: AgentAddress, tunnel: Tunnel): Tunnel {
  const answer = askAgent(
    agent,
    jsonObject([
      ['do', jsonString('join')],
      ['tunnel', tunnelToJson(tunnel)]
    ])
  )
  return { ...tunnel, learning: memberOf(answer, 'learning')?.text === 'true' }
}

/** What an encrypted tunnel stands on. */
export interface EncryptedUnderlay {
  /** Path of the namespace that carries it. */
  readonly carrier: string
  /** This host's address in there. */
  readonly local: IpAddress
  /** bytes, of the device that encrypts */
  readonly mtu: number
}

/**
 * Asks for the device that encrypts, which is made when it is asked for.
 *
 * @throws {CniError} code 50 when this host cannot encrypt, with the reason; 11 while the agent or its registry is away
 */
export function encryptedUnderlay(agent: AgentAddress): EncryptedUnderlay {
  const answer = askAgent(agent, jsonObject([['do', jsonString('encrypted-underlay')]]))
  const carrier = textOf(answer, 'carrier')
  const local = parseAddress(textOf(answer, 'local'))
  const mtu = Number(textOf(answer, 'mtu'))
  if (carrier !== '' && local !== undefined && mtu > 0) return { carrier, local, mtu }
  throw new CniError(NOT_AVAILABLE, 'encrypt: the agent named no device that encrypts', 'install one version of both')
}

/** What other hosts have to know of a container here. */
export interface Endpoint {
  /** The name of the host's end. */
  readonly hostEnd: string
  readonly mac: Uint8Array | undefined
  readonly ips: readonly IpConfig[]
}

/** Returns when the registry has it and this host knows the others'. @throws {CniError} code 11 with the reason */
export function publish(agent: AgentAddress, request: Request, tunnel: Tunnel, endpoint: Endpoint): void {
  const { hostEnd, mac, ips } = endpoint
  askAgent(
    agent,
    callAbout(request, 'publish', [
      ['tunnel', tunnelToJson(tunnel)],
      ['hostEnd', jsonString(hostEnd)],
      ['netns', jsonString(request.netns)],
      ['mac', jsonString(mac === undefined ? '' : formatMac(mac))],
      ['ips', jsonArray(ips.map(ip => jsonString(formatAddress(ip.address.address))))],
      ['gateways', jsonArray(tunnel.isGateway ? gatewaysOf(ips) : [])],
      ['stateDir', jsonString(request.config.text('stateDir') ?? '')]
    ])
  )
}

/** The bridge's addresses, for when somebody takes the bridge away. */
function gatewaysOf(ips: readonly IpConfig[]): readonly Json[] {
  return gatewayPrefixes(ips).map(prefix => jsonString(formatPrefix(prefix)))
}

/** An agent that does not run sees at its next start that the host's end is gone. */
export function withdraw(agent: AgentAddress, request: Request): void {
  try {
    askAgent(agent, callAbout(request, 'withdraw', []))
  } catch (error) {
    if (error instanceof Error && isAgentAway(error)) return
    throw error
  }
}

/** @throws {CniError} code 100 when the registry does not have the endpoint as it is */
export function checkPublished(agent: AgentAddress, request: Request): void {
  askAgent(agent, callAbout(request, 'check', []))
}

/** @throws {CniError} code 50 or 51 when an ADD could not succeed */
export function checkAgent(agent: AgentAddress): void {
  askAgent(agent, jsonObject([['do', jsonString('status')]]))
}

/** GC: endpoints of this network that the runtime does not know. */
export function collect(agent: AgentAddress, request: Request): void {
  askAgent(
    agent,
    jsonObject([
      ['do', jsonString('collect')],
      ['network', jsonString(request.network)],
      ['keep', attachmentsToJson(request.validAttachments)]
    ])
  )
}
