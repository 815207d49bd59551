/** What hosts tell each other about a container's interface, and what its own host knows besides. */
import type { Attachment } from '../lib/attachment.ts'
import type { Tunnel } from '../lib/overlay/tunnel.ts'

/** The registry's value for an endpoint. */
export interface Endpoint {
  /** '' = none: a host that takes part without having told of an interface */
  readonly mac: string
  readonly ips: readonly string[]
  /** The host's address on the underlay. */
  readonly vtep: string
}

/** An endpoint on this host. */
export interface LocalEndpoint extends Attachment, Endpoint {
  /** Path of the container's namespace; '' = the host's. */
  readonly netns: string
  /** The host's end of its veth pair: when that is gone, so is the endpoint. */
  readonly hostEnd: string
  readonly tunnel: Tunnel
  /** Gateway addresses of the bridge, with prefix length, for when the bridge has to be made anew. */
  readonly gateways: readonly string[]
  /** Where its plugin keeps journal and locks; '' = the usual place. */
  readonly stateDir: string
}

/** The addresses of one pool that an attachment on this host holds. */
export interface HeldAddresses extends Attachment {
  readonly pool: string
  readonly ips: readonly string[]
}

/** The registry's value for an address. */
export interface AddressOwner extends Attachment {
  readonly host: string
}

/**
 * The attachment that stands for the host itself, which has an address of its own in a network whose gateway it is. A
 * container's id begins with a letter or a digit.
 */
export function hostsOwn(host: string, tunnel: Tunnel): Attachment {
  return { network: tunnel.network, containerId: `@${host}`, ifName: tunnel.bridge }
}

export function isHostsOwn(one: Attachment): boolean {
  return one.containerId.startsWith('@')
}

/**
 * The host takes part without a container: its own endpoint has the gateways that otherwise those of containers have. Published
 * services need that.
 */
export function isHeld(one: Attachment & Pick<LocalEndpoint, 'gateways'>): boolean {
  return isHostsOwn(one) && one.gateways.length > 0
}
