/** What the executable was started as: a plugin, by which name, or something else. */
import { pluginNames } from './names.ts'

/** What the command is installed as. A variable that somebody has set must not make a plugin of it. */
const COMMAND = 'patchbay'

/** Whether a plugin is meant, and not the command: by the name it is started under, or since a runtime calls. */
export function isPluginStart(program: string): boolean {
  return pluginMeant(program) !== undefined || (baseName(program) !== COMMAND && isCall())
}

/**
 * The plugin that the executable's name means, as lib/cni/wrapped.ts has it: as a whole, or before the first dot.
 * @public called by what build/plugin-assets.ts makes, too
 */
export function pluginMeant(program: string): string | undefined {
  const name = baseName(program)
  const names = pluginNames()
  return names.find(one => one === name) ?? names.find(one => one === name.split('.')[0])
}

/** Whether a runtime calls. */
export function isCall(): boolean {
  return (process.env.CNI_COMMAND ?? '') !== ''
}

/** `dhcp daemon`, as the reference's unit starts it. */
export function isDaemonStart(program: string): boolean {
  return baseName(program) === 'dhcp' && process.argv[2] === 'daemon'
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
