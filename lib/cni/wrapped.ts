/**
 * Which plugin is meant when the executable has another name than a plugin's. Whoever puts a program of his own before a
 * plugin moves that one aside first, `mv bridge bridge.real`, and the runtime's call must be answered under that name too.
 */
import { type Json, memberOf } from '../config/json.ts'
import { CniError, INVALID_CONFIG } from './error.ts'
import type { Io } from './io.ts'
import { makerNamed, type PluginMaker } from './plugin.ts'
import { answerError, readConfig, readInput, run } from './run.ts'

/**
 * Serves a call that came under a name that no plugin has: the configuration's `type` tells which one is meant.
 *
 * @returns the exit status
 */
export function runByType(fileName: string, plugins: readonly PluginMaker[], io: Io): number {
  try {
    const text = readInput(io)
    const { make } = pluginOfType(fileName, readConfig(text), plugins)
    const bytes = new TextEncoder().encode(text)
    return run(make(), plugins, { ...io, hasStdin: () => true, stdin: (_limit: number) => bytes })
  } catch (error) {
    return answerError(error, io)
  }
}

/**
 * A configuration names the network's plugin and the one that it asks for addresses, and either may have been moved aside
 * under this name. Served as the former, a call that was meant for the latter would call this name again, and so on.
 */
function pluginOfType(fileName: string, config: Json, plugins: readonly PluginMaker[]): PluginMaker {
  const type = memberOf(config, 'type')?.text ?? ''
  const ipam = memberOf(config, 'ipam')
  const ipamType = ipam === undefined ? '' : (memberOf(ipam, 'type')?.text ?? '')
  const plugin = makerNamed(type, plugins)
  if (plugin !== undefined && ipamType !== fileName) return plugin
  const rest = plugin === undefined ? `nor is the type ${JSON.stringify(type)} one` : 'and ipam.type is this name'
  const names = plugins.map(one => one.name).join(' ')
  throw new CniError(
    INVALID_CONFIG,
    `start as ${JSON.stringify(fileName)}: no plugin has that name, ${rest}`,
    `let the file's name begin with that of a plugin and a dot: ${names}`
  )
}
