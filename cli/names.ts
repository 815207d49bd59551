/** `--name` and `--alias`: what a container is called on a network, as the plugin dns is told by podman. */
import { type Json, jsonArray, jsonString, withMember } from '../lib/config/json.ts'
import { canonicalName, nameProblem } from '../lib/names/host-name.ts'
import { capabilitiesOf, type Network } from '../lib/runtime/network.ts'
import type { Call } from './call.ts'
import { UsageError } from './output.ts'

/** The pairs of CNI_ARGS that name it, none for a container without a name. */
export function nameArgs(name: string | undefined): readonly (readonly [string, string])[] {
  if (name === undefined) return []
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAME', name]
  ]
}

/** `--name`. @throws UsageError for what is no name */
export function nameOption(call: Call): string | undefined {
  const text = call.text('name')
  return text === undefined ? undefined : checkedName('--name', text)
}

/** `--alias`. @throws UsageError for what is no name */
export function aliasOptions(call: Call): readonly string[] {
  return call.texts('alias').map(text => checkedName('--alias', text))
}

/**
 * The runtime's arguments with the aliases among them.
 *
 * @param others what `--cap` has given
 * @throws UsageError where no plugin of the network takes aliases
 */
export function withAliases(aliases: readonly string[], network: Network, others: Json | undefined): Json | undefined {
  if (aliases.length === 0) return others
  if (!capabilitiesOf(network).includes('aliases')) {
    const advice = 'add {"type": "dns", "capabilities": {"aliases": true}} to its plugins'
    throw new UsageError(`read aliases: nobody answers names on ${JSON.stringify(network.name)}`, advice)
  }
  const none: Json = { type: 'object', text: '', keys: [], items: [] }
  return withMember(others ?? none, 'aliases', jsonArray(aliases.map(jsonString)))
}

/** @throws UsageError for what is no name */
export function checkedName(option: string, text: string): string {
  const name = canonicalName(text)
  const problem = nameProblem(name)
  if (problem !== '') throw new UsageError(`read ${option} ${JSON.stringify(text)}: ${problem}`)
  return name
}
