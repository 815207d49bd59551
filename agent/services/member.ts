/** A container that a service is made of. */
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Named } from '../names/zone.ts'

export interface Member {
  /** '' for this host */
  readonly host: string
  readonly containerId: string
  readonly name: string
  readonly addresses: readonly IpAddress[]
  /** Its host has not been heard of: it gets no new connections. */
  readonly isAway: boolean
}

export function memberOf({ host, containerId, record }: Named, isAway: boolean): Member {
  return { host, containerId, name: record.names[0] ?? containerId, addresses: record.addresses, isAway }
}
