/** All that is counted at a moment: what `patchbay top` and `patchbay ui` take rates from. */
import { followedConnections } from '../../lib/view/connections.ts'
import type { View } from '../../lib/view/model.ts'
import { byContainer, byNetwork, byPort, type Rated, rated, type Traffic } from '../../lib/view/traffic.ts'

/** What a row of traffic is. */
export type By = 'container' | 'network' | 'port'

export interface Reading {
  /** In seconds of a clock that only goes forward. */
  readonly at: number
  readonly by: Readonly<Record<By, readonly Traffic[]>>
}

/** @param view read a moment ago */
export function readingOf(view: View): Reading {
  const connections = followedConnections()
  const containers = byContainer(view, connections)
  return {
    at: performance.now() / 1000,
    by: { container: containers, network: byNetwork(containers), port: byPort(view, connections) }
  }
}

export function ratedBetween(before: Reading, after: Reading, by: By): readonly Rated[] {
  return rated(before.by[by], after.by[by], after.at - before.at)
}
