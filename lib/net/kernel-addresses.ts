/**
 * Addresses of links by rtnetlink.
 *
 * @source linux/if_addr.h; net/ipv4/devinet.c, net/ipv6/addrconf.c
 */
import { addressesEqual, isLoopback } from '../ip/address.ts'
import { formatPrefix, type IpPrefix, prefixesEqual } from '../ip/prefix.ts'
import { type Answer, type Conn, type Request, refusal } from '../netlink/conn.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import {
  type AddressCache,
  type AddressMessage,
  decodeAddress,
  EMPTY_ADDRESS,
  encodeAddress,
  IFA_F_DADFAILED,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  IFA_F_TENTATIVE,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR
} from '../netlink/rt/address.ts'
import { AF_INET, AF_INET6 } from '../netlink/rt/link.ts'
import { type Address, Addresses, type Lifetime, type NewAddress } from './addresses.ts'
import { linkNumber } from './kernel-links.ts'
import { SCOPE_GLOBAL, SCOPE_HOST } from './routes.ts'

/** INFINITY_LIFE_TIME of net/addrconf.h */
const FOR_EVER = 0xffffffff

export class KernelAddresses extends Addresses {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(index?: number): readonly Address[] {
    const object = index === undefined ? '' : `of ${linkNumber(index)}`
    const listed: Address[] = []
    for (const payload of this.#conn.dump(
      'list addresses',
      object,
      RTM_GETADDR,
      encodeAddress({ ...EMPTY_ADDRESS, index: index ?? 0 })
    )) {
      const address = addressOf(decodeAddress(payload, false))
      if (address !== undefined) listed.push(address)
    }
    return listed
  }

  override add(index: number, address: NewAddress): void {
    const answer = this.#conn.attempt(addAddressRequest(index, address))
    if (answer.errno !== '') throw explainedRefusal(answer, address)
  }

  /** All in one send; those that are there already are compared afterwards, by one dump. */
  override ensure(index: number, addresses: readonly NewAddress[]): void {
    const answers = this.#conn.batch(addresses.map(address => addAddressRequest(index, address)))
    requireAdded(addresses, answers, () => this.list(index))
  }

  override remove(index: number, prefix: IpPrefix): boolean {
    const family = prefix.address.family === 4 ? AF_INET : AF_INET6
    const message: AddressMessage = {
      ...EMPTY_ADDRESS,
      family,
      prefixLength: prefix.length,
      index,
      local: prefix.address
    }
    const answer = this.#conn.attempt({
      operation: 'remove address',
      object: `${formatPrefix(prefix)} from ${linkNumber(index)}`,
      type: RTM_DELADDR,
      flags: 0,
      payload: encodeAddress(message),
      answer: 'acknowledgement'
    })
    if (answer.errno === '') return true
    if (answer.errno === 'EADDRNOTAVAIL') return false
    throw refusal(answer)
  }
}

function addressOf(message: AddressMessage): Address | undefined {
  const own = message.local ?? message.address
  if (own === undefined || (message.family !== AF_INET && message.family !== AF_INET6)) return undefined
  const far = message.address
  const flags = message.flags ?? message.shortFlags
  const isPeer = far !== undefined && !addressesEqual(own, far)
  return {
    index: message.index,
    prefix: { address: own, length: message.prefixLength },
    peer: isPeer ? { address: far, length: message.prefixLength } : undefined,
    broadcast: message.broadcast,
    scope: message.scope,
    flags,
    label: message.label,
    isPermanent: (flags & IFA_F_PERMANENT) !== 0,
    isTentative: (flags & IFA_F_TENTATIVE) !== 0,
    isDuplicate: (flags & IFA_F_DADFAILED) !== 0,
    lifetime: lifetimeOf(message.cache)
  }
}

function lifetimeOf(cache: AddressCache | undefined): Lifetime | undefined {
  if (cache === undefined || (cache.valid === FOR_EVER && cache.preferred === FOR_EVER)) return undefined
  return {
    preferred: cache.preferred === FOR_EVER ? undefined : cache.preferred,
    valid: cache.valid === FOR_EVER ? undefined : cache.valid
  }
}

function addressMessage(index: number, address: NewAddress): AddressMessage {
  const { prefix, lifetime } = address
  const flags = (address.noDad === true ? IFA_F_NODAD : 0) | (address.noPrefixRoute === true ? IFA_F_NOPREFIXROUTE : 0)
  const own = prefix.address
  return {
    ...EMPTY_ADDRESS,
    family: own.family === 4 ? AF_INET : AF_INET6,
    prefixLength: address.peer === undefined ? prefix.length : address.peer.length,
    scope: address.scope ?? (own.family === 4 && isLoopback(own) ? SCOPE_HOST : SCOPE_GLOBAL),
    index,
    address: address.peer === undefined ? own : address.peer.address,
    local: own,
    label: address.label,
    broadcast: address.broadcast,
    cache: lifetime === undefined ? undefined : cacheOf(lifetime),
    flags: flags === 0 ? undefined : flags
  }
}

function cacheOf(lifetime: Lifetime): AddressCache {
  return { preferred: lifetime.preferred ?? FOR_EVER, valid: lifetime.valid ?? FOR_EVER, created: 0, updated: 0 }
}

export function addAddressRequest(index: number, address: NewAddress): Request {
  return {
    operation: 'add address',
    object: `${formatPrefix(address.prefix)} to ${linkNumber(index)}`,
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeAddress(addressMessage(index, address)),
    answer: 'acknowledgement'
  }
}

/**
 * Accepts an address that is there already when it is what was asked for.
 *
 * @param answers to addAddressRequest of each of the addresses
 * @param list the link's addresses, asked for when one is there
 * @throws {KernelError} EEXIST saying what it is otherwise; whatever else the kernel refuses
 */
export function requireAdded(
  addresses: readonly NewAddress[],
  answers: readonly Answer[],
  list: () => readonly Address[]
): void {
  let present: readonly Address[] | undefined
  for (let i = 0; i < addresses.length; i += 1) {
    const answer = answers[i]
    const wanted = addresses[i]
    if (answer === undefined || answer.errno === '' || wanted === undefined) continue
    if (answer.errno !== 'EEXIST') throw explainedRefusal(answer, wanted)
    present = present ?? list()
    explainDifference(answer, wanted, present)
  }
}

/** A link whose MTU is too small has no IPv6 at all, of which the kernel says EINVAL alone. @source RFC 8200 section 5 */
function explainedRefusal(answer: Answer, wanted: NewAddress): KernelError {
  if (answer.errno !== 'EINVAL' || wanted.prefix.address.family === 4) return refusal(answer)
  const { operation, object } = answer.request
  return new KernelError(
    operation,
    object,
    answer.errno,
    'IPv6 needs an MTU of 1280 bytes or more: see that of the link'
  )
}

/** An IPv6 address has one prefix length per link, so the kernel takes another length for a duplicate. */
function explainDifference(answer: Answer, wanted: NewAddress, present: readonly Address[]): void {
  const same = present.find(address => addressesEqual(address.prefix.address, wanted.prefix.address))
  const exact = present.some(address => prefixesEqual(address.prefix, wanted.prefix))
  if (exact || (same !== undefined && wanted.peer !== undefined)) return
  const seen = same === undefined ? 'not listed' : `there as ${formatPrefix(same.prefix)}`
  throw new KernelError(answer.request.operation, answer.request.object, 'EEXIST', seen)
}
