/** What a server grants: how long, and what the container's interface gets. */
import { resultToJson } from '../lib/cni/result-json.ts'
import type { Json } from '../lib/config/json.ts'
import { addressesEqual, formatAddress, type IpAddress, isUnspecified } from '../lib/ip/address.ts'
import { formatPrefix, type IpPrefix, lastAddress, networkOf } from '../lib/ip/prefix.ts'
import {
  DhcpDecodeError,
  DNS_SERVERS,
  LEASE_TIME,
  type Message,
  REBINDING_TIME,
  RENEWAL_TIME,
  ROUTERS,
  SERVER_ID
} from './message.ts'
import {
  addressesOf,
  addressOf,
  classlessRoutesOf,
  domainOf,
  maskLengthOf,
  type ServerRoute,
  searchOf,
  secondsOf,
  staticRoutesOf
} from './option-values.ts'
import type { OptionsConfig } from './options-config.ts'

/** Seconds after which to renew, to ask any server, and to give the address up; Infinity for ever. */
export interface Times {
  readonly renew: number
  readonly rebind: number
  readonly expire: number
}

/** What an acknowledgement grants. */
export interface Grant {
  readonly address: IpPrefix
  readonly server: IpAddress
  readonly times: Times
  /** For the runtime, in the form of cniVersion 1.1.0. */
  readonly result: Json
}

const FOREVER = 0xffffffff
export const RESULT_VERSION = '1.1.0'
/** @source RFC 2131 section 4.4.5 */
const RENEW_PART = 0.5
const REBIND_PART = 0.875
/** Seconds. A shorter lease would be renewed all the time; other clients (udhcpc) take it for as long, too. */
export const SHORTEST_LEASE = 10
/** A network of class A; what is larger takes most of the world for a neighbour. */
const SHORTEST_PREFIX = 8
/** First bytes of addresses: RFC 1122 section 3.2.1.3 (g), RFC 5771. */
const LOOPBACK = 127
const FIRST_MULTICAST = 224

/** @throws {DhcpDecodeError} for an acknowledgement that nothing can be done with */
export function grantOf(ack: Message, options: OptionsConfig): Grant {
  const length = maskLengthOf(ack)
  const server = addressOf(ack, SERVER_ID)
  if (length === undefined) throw new DhcpDecodeError('read option 1 (subnet mask): the server does not send it')
  if (server === undefined) throw new DhcpDecodeError('read option 54 (server identifier): the server does not send it')
  const address: IpPrefix = { address: ack.yiaddr, length }
  const used = askedFor(ack, options.request)
  refuseAddress(address, [server, ...addressesOf(used, ROUTERS)])
  return { address, server, times: timesOf(ack), result: resultOf(used, address, options.priority) }
}

/** A server may send more than it was asked for: who did not want its router wants no default route. */
function askedFor(ack: Message, request: readonly number[]): Message {
  return { ...ack, options: new Map([...ack.options].filter(([code]) => request.includes(code))) }
}

/** No server gives these on purpose; a container that had one would cut others off. */
function refuseAddress(prefix: IpPrefix, others: readonly IpAddress[]): void {
  const { address, length } = prefix
  const hasEnds = length < 31
  const refuse = (what: string): never => {
    throw new DhcpDecodeError(`read address: ${formatPrefix(prefix)} is ${what}`)
  }
  if (!isUsable(address)) refuse("no host's")
  if (length < SHORTEST_PREFIX) refuse(`in a network with more than 2^${32 - SHORTEST_PREFIX} addresses`)
  if (hasEnds && addressesEqual(networkOf(prefix).address, address)) refuse('that of its network')
  if (hasEnds && addressesEqual(lastAddress(prefix), address)) refuse('the broadcast address of its network')
  if (others.some(one => addressesEqual(one, address))) refuse("the server's own, or its router's")
}

/** Neither "this network" nor loopback nor multicast and above. */
export function isUsable({ bytes }: IpAddress): boolean {
  const first = bytes[0] ?? 0
  return first !== 0 && first !== LOOPBACK && first < FIRST_MULTICAST
}

/** A server's own T1 and T2 count where they make sense. */
export function timesOf(ack: Message): Times {
  const granted = secondsOf(ack, LEASE_TIME)
  if (granted === undefined || granted === 0) throw new DhcpDecodeError('read option 51 (lease time): there is none')
  if (granted === FOREVER) return { renew: Infinity, rebind: Infinity, expire: Infinity }
  const expire = Math.max(granted, SHORTEST_LEASE)
  const renew = secondsOf(ack, RENEWAL_TIME) ?? 0
  const rebind = secondsOf(ack, REBINDING_TIME) ?? 0
  if (renew >= SHORTEST_LEASE * RENEW_PART && renew < rebind && rebind < expire) return { renew, rebind, expire }
  return { renew: expire * RENEW_PART, rebind: expire * REBIND_PART, expire }
}

/** RFC 3442: where there are classless routes, neither routers nor static routes count. */
function resultOf(ack: Message, address: IpPrefix, priority: number | undefined): Json {
  const gateway = addressOf(ack, ROUTERS)
  const classless = classlessRoutesOf(ack)
  const everything: IpPrefix = { address: { family: 4, bytes: new Uint8Array(4) }, length: 0 }
  const byRouter = gateway === undefined ? [] : [{ dst: everything, gateway }]
  const routes = classless.length > 0 ? classless : [...staticRoutesOf(ack), ...byRouter]
  const metric = priority === 0 ? undefined : priority
  return resultToJson(
    {
      interfaces: [],
      ips: [{ address, gateway: gateway !== undefined && isUsable(gateway) ? gateway : undefined }],
      routes: routes.filter(isSensible).map(route => ({ dst: route.dst, gw: route.gateway, priority: metric })),
      dns: {
        nameservers: addressesOf(ack, DNS_SERVERS).filter(isUsable).map(formatAddress),
        domain: domainOf(ack),
        search: searchOf(ack),
        options: []
      }
    },
    RESULT_VERSION
  )
}

/** A route to a container's own loopback or to multicast addresses would take away what is none of the network's. */
function isSensible({ dst, gateway }: ServerRoute): boolean {
  const first = dst.address.bytes[0] ?? 0
  const leadsOut = dst.length === 0 || (first !== LOOPBACK && first < FIRST_MULTICAST)
  return leadsOut && (isUnspecified(gateway) || isUsable(gateway))
}
