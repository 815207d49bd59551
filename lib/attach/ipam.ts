/** Addresses for an attachment, from the IPAM plugin that the network names. */
import type { Request } from '../cni/plugin.ts'
import { type Dns, isEmptyDns, type Result } from '../cni/result.ts'
import { readDns } from '../cni/result-json.ts'

/** Writes down as a problem of the configuration that it names no IPAM plugin. Call it before `config.finish()`. */
export function requireIpam(request: Request): void {
  if (request.ipam.type() === '') request.config.problem('ipam', 'must name an IPAM plugin in its type')
}

/**
 * Whether the address is leased by messages over the very interface it is for: then the interface has to be there
 * before the address, and must not go before the address is given back.
 */
export function leasesOverInterface(request: Request): boolean {
  const ipam = request.config.section('ipam')
  return ipam !== undefined && ipam.text('type') === 'dhcp'
}

/** The name servers of the configuration when it names any, else those of IPAM. */
export function effectiveDns(request: Request, leased: Result): Dns {
  const configured = readDns(request.config.section('dns'))
  return isEmptyDns(configured) ? leased.dns : configured
}
