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
