/** What plugins of the reference set promise, one clause per case. */
import type { Behaviour } from './behaviour.ts'
import { ADDRESS_BEHAVIOURS } from './cases/addresses.ts'
import { BRIDGE_BEHAVIOURS } from './cases/bridge.ts'
import { BRIDGE_KEY_BEHAVIOURS } from './cases/bridge-keys.ts'
import { CHAINED_BEHAVIOURS } from './cases/chained.ts'
import { CHAINED_KEY_BEHAVIOURS } from './cases/chained-keys.ts'
import { LINK_KEY_BEHAVIOURS } from './cases/link-keys.ts'
import { LINK_BEHAVIOURS } from './cases/links.ts'
import { VXLAN_BEHAVIOURS } from './cases/vxlan.ts'
import type { Clause } from './clauses/clause.ts'

export const BEHAVIOURS: readonly Behaviour[] = [
  ...BRIDGE_BEHAVIOURS,
  ...BRIDGE_KEY_BEHAVIOURS,
  ...VXLAN_BEHAVIOURS,
  ...LINK_BEHAVIOURS,
  ...LINK_KEY_BEHAVIOURS,
  ...ADDRESS_BEHAVIOURS,
  ...CHAINED_BEHAVIOURS,
  ...CHAINED_KEY_BEHAVIOURS
]

export const BEHAVIOUR_CLAUSES: readonly Clause[] = BEHAVIOURS.map(({ clause }) => clause)
