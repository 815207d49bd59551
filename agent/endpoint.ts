/** What hosts tell each other about a container's interface, and what its own host knows besides. */
import type { Tunnel } from '../lib/overlay/tunnel.ts'

/** An attachment: one interface of one container on one network. */
export interface Attachment {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

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
  /** The host's end of its veth pair: when that is gone, so is the endpoint. */
  readonly hostEnd: string
  readonly tunnel: Tunnel
  /** Gateway addresses of the bridge, with prefix length, for when the bridge has to be made anew. */
  readonly gateways: readonly string[]
  /** Where its plugin keeps journal and locks; '' = the usual place. */
  readonly stateDir: string
}

/** Addresses that an attachment on this host holds. */
export interface LocalLease extends Attachment {
  readonly pool: string
  readonly ips: readonly string[]
}

/** The registry's value for an address. */
export interface AddressOwner extends Attachment {
  readonly host: string
}

export function attachmentKey(one: Attachment): string {
  return `${one.network}:${one.containerId}:${one.ifName}`
}

export function isSameAttachment(a: Attachment, b: Attachment): boolean {
  return a.network === b.network && a.containerId === b.containerId && a.ifName === b.ifName
}
