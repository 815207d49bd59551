/** Addresses of a fake namespace. For tests; see fake-kernel.ts. */

import { formatPrefix, type IpPrefix, networkOf, prefixesEqual } from '../../ip/prefix.ts'
import { type Address, Addresses, type NewAddress } from '../../net/addresses.ts'
import { sameDestination } from '../../net/route-match.ts'
import { PROTOCOL_KERNEL, SCOPE_GLOBAL } from '../../net/routes.ts'
import { type FakeLink, hasAddress } from './fake-namespace.ts'
import { type FakePlace, linkAt, refuse } from './fake-place.ts'
import { giveAddress, removeRoutes } from './link-changes.ts'
export class FakeAddresses extends Addresses {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(index?: number): readonly Address[] {
    const links = this.#place.namespace.links.filter(link => index === undefined || link.index === index)
    return links.flatMap(link => link.addresses.map(address => showAddress(link, address)))
  }

  override add(index: number, address: NewAddress): void {
    const what = `${formatPrefix(address.prefix)} to link ${index}`
    this.#place.step('add address', what)
    const link = linkAt(this.#place.namespace, index)
    if (hasAddress(link, address) !== undefined) refuse('add address', what, 'EEXIST', 'File exists')
    giveAddress(link, address)
  }

  override ensure(index: number, addresses: readonly NewAddress[]): void {
    if (addresses.length === 0) return
    this.#place.step('add address', `to link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    for (const address of addresses) {
      const present = hasAddress(link, address)
      if (present === undefined) giveAddress(link, address)
      else if (!prefixesEqual(present.prefix, address.prefix)) {
        const what = `${formatPrefix(address.prefix)} to link ${index}`
        refuse('add address', what, 'EEXIST', `there as ${formatPrefix(present.prefix)}`)
      }
    }
  }

  override remove(index: number, prefix: IpPrefix): boolean {
    this.#place.step('remove address', `${formatPrefix(prefix)} from link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    const at = link.addresses.findIndex(one => prefixesEqual(one.prefix, prefix))
    if (at < 0) return false
    link.addresses.splice(at, 1)
    const network = networkOf(prefix)
    removeRoutes(
      link.home,
      one => one.link === link && one.route.protocol === PROTOCOL_KERNEL && sameDestination(one.route.dst, network)
    )
    return true
  }
}

function showAddress(link: FakeLink, address: NewAddress): Address {
  return {
    index: link.index,
    prefix: address.prefix,
    peer: address.peer,
    broadcast: address.broadcast,
    scope: address.scope ?? SCOPE_GLOBAL,
    flags: 0x80,
    label: address.label,
    isPermanent: true,
    isTentative: false,
    isDuplicate: false,
    lifetime: address.lifetime
  }
}
