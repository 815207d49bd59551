/** What a plugin that makes an interface prints when plugins before it have already made something. */
import type { Request } from '../cni/plugin.ts'
import { type IpConfig, isEmptyDns, type Result } from '../cni/result.ts'
import { saysDns } from './ipam.ts'

/**
 * The attachment so far with the plugin's own part behind it (SPEC.md, ADD Success: what was provided as `prevResult` is put
 * out with the plugin's changes).
 *
 * @param own indices of its `ips` count its own interfaces
 */
export function afterPrevious(request: Request, own: Result): Result {
  const previous = request.prevResult
  if (previous === undefined) return own
  const before = previous.interfaces.length
  return {
    interfaces: previous.interfaces.concat(own.interfaces),
    ips: previous.ips.concat(own.ips.map(ip => movedBy(ip, before))),
    routes: previous.routes.concat(own.routes),
    dns: isEmptyDns(own.dns) && !saysDns(request) ? previous.dns : own.dns
  }
}

function movedBy(ip: IpConfig, places: number): IpConfig {
  const index = ip.interface
  return { interface: index === undefined ? undefined : index + places, address: ip.address, gateway: ip.gateway }
}
