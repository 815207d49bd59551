/** What the plugins that give addresses out of range sets refuse alike: the codes from 100 on are the plugins' own. */
import { CniError } from '../cni/error.ts'
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { type RangeSet, setText } from './range-set.ts'

/** ADD: the address that was asked for cannot be had. */
export const ADDRESS_NOT_AVAILABLE = 101
/** CHECK: the leases are not what prevResult says. */
export const LEASE_DIFFERS = 102

/** The error for addresses that were asked for and that no set has to give, or not so many. */
export function notInSets(sets: readonly RangeSet[], asked: readonly IpAddress[]): CniError {
  const texts = asked.map(address => JSON.stringify(formatAddress(address))).join(', ')
  const ranges = sets.map(set => `${set.path} (${setText(set)})`).join(', ')
  return new CniError(
    ADDRESS_NOT_AVAILABLE,
    `allocate ${texts}: not in a range set that has an address to give for it`,
    `one address of each of ${ranges} is given`
  )
}
