/** What a server grants: how long, and what the container's interface gets. */
import { resultToJson } from '../lib/cni/result-json.ts'
import type { Json } from '../lib/config/json.ts'
import { formatAddress, type IpAddress } from '../lib/ip/address.ts'
import type { IpPrefix } from '../lib/ip/prefix.ts'
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
  searchOf,
  secondsOf,
  staticRoutesOf
} from './option-values.ts'

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
const RESULT_VERSION = '1.1.0'
/** @source RFC 2131 section 4.4.5 */
const RENEW_PART = 0.5
const REBIND_PART = 0.875

/** @throws {DhcpDecodeError} for an acknowledgement that nothing can be done with */
export function grantOf(ack: Message, priority: number | undefined): Grant {
  const length = maskLengthOf(ack)
  const server = addressOf(ack, SERVER_ID)
  if (!isUsable(ack.yiaddr)) {
    throw new DhcpDecodeError(`read address: ${formatAddress(ack.yiaddr)} is no host's`)
  }
  if (length === undefined) throw new DhcpDecodeError('read option 1 (subnet mask): the server does not send it')
  if (server === undefined) throw new DhcpDecodeError('read option 54 (server identifier): the server does not send it')
  const address: IpPrefix = { address: ack.yiaddr, length }
  return { address, server, times: timesOf(ack), result: resultOf(ack, address, priority) }
}

/** Neither "this network" nor loopback nor multicast and above. */
export function isUsable({ bytes }: IpAddress): boolean {
  const first = bytes[0] ?? 0
  return first !== 0 && first !== 127 && first < 224
}

/** A server's own T1 and T2 count where they make sense. */
export function timesOf(ack: Message): Times {
  const expire = secondsOf(ack, LEASE_TIME)
  if (expire === undefined || expire === 0) throw new DhcpDecodeError('read option 51 (lease time): there is none')
  if (expire === FOREVER) return { renew: Infinity, rebind: Infinity, expire: Infinity }
  const renew = secondsOf(ack, RENEWAL_TIME) ?? 0
  const rebind = secondsOf(ack, REBINDING_TIME) ?? 0
  if (renew > 0 && renew < rebind && rebind < expire) return { renew, rebind, expire }
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
      ips: [{ address, gateway }],
      routes: routes.map(route => ({ dst: route.dst, gw: route.gateway, priority: metric })),
      dns: {
        nameservers: addressesOf(ack, DNS_SERVERS).map(formatAddress),
        domain: domainOf(ack),
        search: searchOf(ack),
        options: []
      }
    },
    RESULT_VERSION
  )
}
