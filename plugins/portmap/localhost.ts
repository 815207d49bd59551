/** 127.0.0.1:port leads to the container: packets from a loopback address must be allowed to leave by its interface. */

import type { Result } from '../../lib/cni/result.ts'
import { type IpAddress, isLoopback } from '../../lib/ip/address.ts'
import { prefixContains } from '../../lib/ip/prefix.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Route } from '../../lib/net/routes.ts'
import { specificAddress } from './mapping.ts'
import type { Published } from './published.ts'

/** Sets route_localnet on the host's interface towards the container; there is no such thing for IPv6. */
export function openLocalhost(host: Net, result: Result, published: Published): void {
  const target = published.addresses.find(one => one.address.family === 4)
  const isAsked = published.mappings.some(mapping => {
    const specific = specificAddress(mapping)
    return mapping.hostAddress?.family !== 6 && (specific === undefined || isLoopback(specific))
  })
  if (target === undefined || !isAsked) return
  const link = linkTowards(host, result, target.address)
  if (link === undefined) return
  const path = `ipv4/conf/${link.name}/route_localnet`
  if (host.sysctls.read(path) !== '1') host.sysctls.write(path, '1')
}

/** Among the attachment's own interfaces first: a host may have more routes than one wants to read. */
function linkTowards(host: Net, result: Result, target: IpAddress): Link | undefined {
  for (const one of result.interfaces) {
    if ((one.sandbox ?? '') !== '') continue
    const link = host.links.find(one.name)
    if (link === undefined) continue
    const routes = host.routes.list({ family: 4, index: link.index })
    if (routes.some(route => leadsTo(route, target))) return link
  }
  let best: Route | undefined
  for (const route of host.routes.list({ family: 4 })) {
    if (leadsTo(route, target) && (route.dst?.length ?? 0) > (best?.dst?.length ?? 0)) best = route
  }
  return best?.index === undefined ? undefined : host.links.findByIndex(best.index)
}

function leadsTo(route: Route, target: IpAddress): boolean {
  return route.dst !== undefined && prefixContains(route.dst, target)
}
