/** What a server grants by DHCPv6: how long, and what the container's interface gets. */
import type { Dns } from '../../lib/cni/result.ts'
import {
  formatAddress,
  type IpAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified
} from '../../lib/ip/address.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { SHORTEST_LEASE, type Times } from '../grant.ts'
import { DhcpDecodeError } from '../message.ts'
import { searchIn } from '../option-values.ts'
import {
  type Association,
  addressesOf,
  DNS_SERVERS,
  DOMAIN_SEARCH,
  decodeAddress,
  decodeAssociation,
  IA_ADDRESS,
  IA_NA,
  type LeasedAddress,
  type Message,
  NO_BINDING,
  optionOf,
  SERVER_ID,
  SUCCESS,
  statusOf
} from './message.ts'

export interface Grant6 {
  /** A single address: which of them are on the link, routers say. */
  readonly address: IpPrefix
  /** The server's DUID. */
  readonly server: Uint8Array
  readonly times: Times
  readonly dns: Dns
}

const FOREVER = 0xffffffff
/** @source RFC 8415 section 21.4 */
const RENEW_PART = 0.5
const REBIND_PART = 0.8
/** A DUID has 130 bytes at most. @source RFC 8415 section 11.1 */
const LONGEST_DUID = 130

/** A server refuses, and says why. */
export class Refusal extends Error {
  /** The code of its status option. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.name = 'Refusal'
    this.code = code
  }

  /** It knows nothing of the lease: it may be asked for it anew. */
  get isUnknown(): boolean {
    return this.code === NO_BINDING
  }
}

/**
 * Reads an ADVERTISE or a REPLY.
 *
 * @param iaid of the association that was asked for
 * @param wanted the address that is held; another one of the association is passed over
 * @throws {Refusal} by a status of the server, or when it takes the address back
 * @throws {DhcpDecodeError} when nothing can be done with it
 */
export function grantOf(message: Message, iaid: number, wanted?: IpAddress): Grant6 {
  refuseStatus(message)
  const association = associationIn(message, iaid)
  if (association === undefined) throw new DhcpDecodeError('read option 3 (IA_NA): the server does not send it')
  refuseStatus(association)
  const leased = leasedIn(association, wanted)
  return {
    address: { address: leased.address, length: 128 },
    server: serverOf(message),
    times: timesOf(association, leased),
    dns: dnsOf(message)
  }
}

function refuseStatus(part: Pick<Message, 'options'>): void {
  const { code, text } = statusOf(part.options)
  if (code === SUCCESS) return
  throw new Refusal(code, `it refuses with status ${code}${text === '' ? '' : `: ${JSON.stringify(text)}`}`)
}

/** @throws {DhcpDecodeError} when there is none, or a senseless one */
export function serverOf({ options }: Message): Uint8Array {
  const server = optionOf(options, SERVER_ID)
  if (server !== undefined && server.length > 0 && server.length <= LONGEST_DUID) return server
  throw new DhcpDecodeError('read option 2 (server identifier): it must hold 1 to 130 bytes')
}

function associationIn({ options }: Message, iaid: number): Association | undefined {
  for (const [code, value] of options) {
    const one = code === IA_NA ? decodeAssociation(value) : undefined
    // RFC 8415 section 21.4: one whose times contradict each other is as good as none.
    if (one?.iaid === iaid && (one.t1 <= one.t2 || one.t2 === 0)) return one
  }
  return undefined
}

function leasedIn({ options }: Association, wanted: IpAddress | undefined): LeasedAddress {
  const all = options.filter(([code]) => code === IA_ADDRESS).map(([, value]) => decodeAddress(value))
  const isWanted = (one: LeasedAddress): boolean =>
    wanted === undefined || Buffer.compare(one.address.bytes, wanted.bytes) === 0
  const leased = all.find(isWanted)
  if (leased === undefined) throw new DhcpDecodeError('read option 5 (IAADDR): there is no address to use')
  const text = formatAddress(leased.address)
  refuseStatus(leased)
  if (!isUsable(leased.address)) throw new DhcpDecodeError(`read option 5 (IAADDR): ${text} is no host's`)
  // RFC 8415 section 18.2.10.1: so a server takes it back.
  if (leased.valid === 0) throw new Refusal(SUCCESS, `${text} is not to be used any more`)
  if (leased.preferred > leased.valid) {
    throw new DhcpDecodeError(`read option 5 (IAADDR): ${text} is preferred for longer than it is valid`)
  }
  return leased
}

/** One that a host can be reached at from elsewhere. */
function isUsable(address: IpAddress): boolean {
  return !isUnspecified(address) && !isLoopback(address) && !isMulticast(address) && !isLinkLocal(address)
}

/** A server's own T1 and T2 count where they make sense. */
function timesOf({ t1, t2 }: Association, { preferred, valid }: LeasedAddress): Times {
  const expire = valid === FOREVER ? Infinity : Math.max(valid, SHORTEST_LEASE)
  const useful = preferred === FOREVER ? Infinity : Math.min(Math.max(preferred, SHORTEST_LEASE), expire)
  const renew = t1 === 0 ? useful * RENEW_PART : t1 === FOREVER ? Infinity : t1
  const rebind = t2 === 0 ? useful * REBIND_PART : t2 === FOREVER ? Infinity : t2
  if (renew >= SHORTEST_LEASE * RENEW_PART && renew <= rebind && rebind <= expire) return { renew, rebind, expire }
  return { renew: useful * RENEW_PART, rebind: useful * REBIND_PART, expire }
}

function dnsOf({ options }: Message): Dns {
  const servers = addressesOf(options, DNS_SERVERS).filter(one => !isUnspecified(one) && !isMulticast(one))
  return {
    // A link-local one would need to say of which link.
    nameservers: servers.filter(one => !isLinkLocal(one) && !isLoopback(one)).map(formatAddress),
    search: searchIn(optionOf(options, DOMAIN_SEARCH) ?? new Uint8Array()),
    options: []
  }
}
