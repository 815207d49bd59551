/** Addresses for an attachment, from the IPAM plugin that the network names. */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import { type Dns, EMPTY_RESULT, isEmptyDns, type Result } from '../cni/result.ts'
import { readDns } from '../cni/result-json.ts'
import type { Undo } from '../undo.ts'

/** Writes down as a problem of the configuration that it names no IPAM plugin. Call it before `config.finish()`. */
export function requireIpam(request: Request): void {
  if (request.ipam.type() === '') request.config.problem('ipam', 'must name an IPAM plugin in its type')
}

/**
 * Takes addresses, to be given back by `undo`.
 *
 * @returns addresses, routes and name servers; nothing of them on a network without IPAM (layer 2 only)
 * @throws CniError code 7 when the IPAM plugin succeeded without any address
 */
export function leaseAddresses(request: Request, undo: Undo): Result {
  const type = request.ipam.type()
  if (type === '') return EMPTY_RESULT
  const leased = request.ipam.add()
  undo.push('address lease', () => request.ipam.del())
  if (leased.ips.length > 0) return leased
  const message = `take addresses from ipam plugin ${JSON.stringify(type)}: it returned none`
  throw new CniError(INVALID_CONFIG, message, 'configure addresses there, or leave out ipam for layer 2 only')
}

/**
 * Whether the address is leased by messages over the very interface it is for: then the interface has to be there
 * before the address, and must not go before the address is given back.
 */
export function leasesOverInterface(request: Request): boolean {
  const ipam = request.config.section('ipam')
  return ipam !== undefined && ipam.text('type') === 'dhcp'
}

/** The first step of DEL. Other addresses go last, so that no container has them when the next one gets them. */
export function releaseOverInterface(request: Request): void {
  if (leasesOverInterface(request)) request.ipam.del()
}

/** The first step of GC, likewise. */
export function collectOverInterface(request: Request): void {
  if (leasesOverInterface(request)) request.ipam.gc()
}

/** The name servers of the configuration when it names any, else those of IPAM. */
export function effectiveDns(request: Request, leased: Result): Dns {
  const configured = readDns(request.config.section('dns'))
  return isEmptyDns(configured) ? leased.dns : configured
}
