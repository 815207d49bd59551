import type { Net } from './net.ts'

/**
 * Lets a namespace forward packets between its links.
 *
 * @param family of the packets
 * @throws {KernelError} when it cannot be switched on: containers would have a gateway that leads nowhere
 */
export function ensureForwarding(net: Net, family: 4 | 6): void {
  const path = family === 4 ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding'
  // Read first: even a write of the same value makes the kernel walk over every interface.
  if (net.sysctls.read(path) !== '1') net.sysctls.write(path, '1')
}
