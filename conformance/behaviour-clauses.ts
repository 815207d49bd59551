/** What plugins of the reference set promise, one clause per case. */
import type { Behaviour } from './behaviour.ts'
import { ADDRESS_BEHAVIOURS } from './cases/addresses.ts'
import { BRIDGE_BEHAVIOURS } from './cases/bridge.ts'
import { CHAINED_BEHAVIOURS } from './cases/chained.ts'
import { LINK_BEHAVIOURS } from './cases/links.ts'
import type { Clause } from './clauses.ts'

export const BEHAVIOURS: readonly Behaviour[] = [
  ...BRIDGE_BEHAVIOURS,
  ...LINK_BEHAVIOURS,
  ...ADDRESS_BEHAVIOURS,
  ...CHAINED_BEHAVIOURS
]

export const BEHAVIOUR_CLAUSES: readonly Clause[] = BEHAVIOURS.map(({ clause }) => clause)
