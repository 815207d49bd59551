/** Addresses that no host can have in a network, wherever they come from. */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { addressesEqual, formatAddress, type IpAddress, isLoopback, isMulticast, isUnspecified } from '../ip/address.ts'
import { type IpPrefix, lastAddress } from '../ip/prefix.ts'

/**
 * Refuses what the kernel would take for something else: with 127.0.0.1 on a bridge the host's services would be the
 * network's, 0.0.0.0 sets no address at all, and a route for broadcasts would lead to one container.
 *
 * @throws {CniError} code 7
 */
export function refuseNoHosts(address: IpAddress): void {
  const isBroadcast = formatAddress(address) === '255.255.255.255'
  const isNothing = isUnspecified(address) || (address.family === 4 && address.bytes[0] === 0)
  if (isLoopback(address) || isMulticast(address) || isBroadcast || isNothing) throw noHosts(address)
}

/**
 * The same, and the broadcast address of a network that has one.
 *
 * @throws {CniError} code 7
 */
export function refuseNoHostsOf(network: IpPrefix, address: IpAddress): void {
  refuseNoHosts(address)
  const hasBroadcast = network.address.family === 4 && network.length < 31
  if (hasBroadcast && addressesEqual(lastAddress(network), address)) throw noHosts(address)
}

function noHosts(address: IpAddress): CniError {
  return new CniError(
    INVALID_CONFIG,
    `use address ${formatAddress(address)} of IPAM: no host can have it in a network`,
    'correct addresses and gateways of ipam'
  )
}
