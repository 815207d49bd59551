/** Where a namespace's default route leads. */
import type { Net } from './net.ts'
import type { Route } from './routes.ts'

/** The link of the family's default route; of several the one that the kernel prefers. */
export function defaultLinkIndex(net: Net, family: 4 | 6): number | undefined {
  let best: Route | undefined
  for (const route of net.routes.list({ family })) {
    if (route.dst !== undefined && route.dst.length > 0) continue
    if (linkIndexOf(route) === undefined) continue
    if (best === undefined || (route.metric ?? 0) < (best.metric ?? 0)) best = route
  }
  return best === undefined ? undefined : linkIndexOf(best)
}

function linkIndexOf(route: Route): number | undefined {
  return route.index ?? route.nextHops?.find(hop => hop.index > 0)?.index
}
