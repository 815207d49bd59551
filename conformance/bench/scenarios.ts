/** The benchmark's scenarios, but for those that load a path with traffic (paths.ts). */
import { type Attachment, Chain } from './chain.ts'
import { CHAINS, chainScenario } from './chains.ts'
import { AMONG_MANY } from './crowds.ts'
import { GROWTH } from './growth.ts'
import { NAMES } from './names.ts'
import { NAMES_CROWD } from './names-crowd.ts'
import { PATH, VERSION } from './networks.ts'
import type { Scenario, Stage } from './scenario.ts'
import { BARE, NODE_START, SEQUENCES } from './sequences.ts'

export const SCENARIOS: readonly Scenario[] = [
  BARE,
  NODE_START,
  ...CHAINS.map(chainScenario),
  ...SEQUENCES,
  ...NAMES,
  ...NAMES_CROWD,
  ...GROWTH,
  ...AMONG_MANY
]

/** Plugins whose size and peak memory are shown: those with a scenario of their own name. */
export const PLUGINS: readonly string[] = CHAINS.filter(({ id, needs }) => needs.includes(id)).map(({ id }) => id)

/** Calls whose peak memory is shown. */
export function memoryChain(stage: Stage, type: string): { readonly chain: Chain; readonly attachment: Attachment } {
  const spec = CHAINS.find(({ id }) => id === (type === 'bridge' ? 'bridge-masq' : type))
  if (spec === undefined) throw new Error(`measure memory: no chain for ${type}`)
  spec.furnish?.()
  const plugins = spec.plugins(stage)
  const chain = new Chain(stage.contestant.dir, { name: 'memory', cniVersion: VERSION, plugins, env: { PATH } })
  const attachment = { containerId: 'bench-m', ifName: spec.ifName ?? 'eth0', netns: stage.container('m') }
  return { chain, attachment }
}
