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

/** The name servers of the configuration when it names any, else those of IPAM. */
export function effectiveDns(request: Request, leased: Result): Dns {
  const configured = readDns(request.config.section('dns'))
  return isEmptyDns(configured) ? leased.dns : configured
}
