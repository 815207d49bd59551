/** Which network a container's default route leads to, where it is on several. */
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import type { Net } from '../lib/net/net.ts'
import { metricOf } from '../lib/net/route-match.ts'
import type { Route } from '../lib/net/routes.ts'
import { UsageError } from './output.ts'

/** A pair of CNI_ARGS: it stays in the record of the attachment, which the next `connect` looks at. */
export const PRIORITY_ARGUMENT = 'PATCHBAY_GW_PRIORITY'

/** Metrics at which routes stand while they change places: far behind what an attachment takes. */
const ASIDE = 1_000_000

/** `--gw-priority`: an integer, 0 where nothing is said. @throws UsageError */
export function gatewayPriority(option: string, text: string | undefined): number {
  if (text === undefined) return 0
  if (/^-?[0-9]{1,9}$/.test(text)) return Number(text)
  throw new UsageError(`read ${option} ${JSON.stringify(text)}: must be an integer`)
}

export function priorityArgs(priority: number): readonly (readonly [string, string])[] {
  return priority === 0 ? [] : [[PRIORITY_ARGUMENT, String(priority)]]
}

/**
 * Puts the default routes of these interfaces in the order of their priorities, the highest first; equal ones stay as they
 * are, and so do routes of other interfaces. Each family has its own order. The container has a default route all the while.
 *
 * @param priorities by interface name
 */
export function orderGateways(netns: string, priorities: ReadonlyMap<string, number>): void {
  const net = new LinuxKernel().open(netns)
  try {
    const names = new Map(net.links.list().map(link => [link.index, link.name]))
    const priorityOf = (route: Route): number => priorities.get(names.get(route.index ?? 0) ?? '') ?? 0
    for (const family of [4, 6] as const) {
      const routes = net.routes
        .list({ family })
        .filter(one => (one.dst?.length ?? 0) === 0 && priorities.has(names.get(one.index ?? 0) ?? ''))
        .toSorted((a, b) => metricOf(a, family) - metricOf(b, family))
      const wanted = routes.toSorted((a, b) => priorityOf(b) - priorityOf(a))
      if (wanted.some((route, i) => route !== routes[i])) {
        rearrange(
          net,
          wanted,
          routes.map(one => metricOf(one, family))
        )
      }
    }
  } finally {
    net.close()
  }
}

/** The kernel has one route for each metric: all step aside, then each takes its new place. */
function rearrange(net: Net, routes: readonly Route[], metrics: readonly number[]): void {
  routes.forEach((route, i) => {
    net.routes.add({ ...route, metric: ASIDE + i })
  })
  for (const route of routes) net.routes.remove(route)
  routes.forEach((route, i) => {
    net.routes.add({ ...route, metric: metrics[i] })
    net.routes.remove({ ...route, metric: ASIDE + i })
  })
}
