/** Starting a plugin by the name the executable was started under. */
import { processIo } from '../lib/cni/io.ts'
import { type PluginMaker, pluginNamed } from '../lib/cni/plugin.ts'
import { run } from '../lib/cni/run.ts'
import { PATCHBAY_VERSION } from '../lib/cni/version.ts'
import { runByType } from '../lib/cni/wrapped.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { allPlugins } from './registry.ts'
import { baseName, isCall, isDaemonStart } from './started-as.ts'

/**
 * Runs the plugin that `program` names, or shows how to get at the plugins.
 *
 * @param program the path the executable was started under
 * @returns the exit status
 */
export function startPlugin(program: string): number {
  const plugins = allPlugins(new LinuxKernel())
  const name = baseName(program)
  const plugin = pluginNamed(name, plugins)
  const io = processIo()
  if (isDaemonStart(program)) {
    io.stderr('dhcp daemon: it is part of the patchbay command, not of this file: start "patchbay dhcp"\n')
    return 1
  }
  if (plugin !== undefined) {
    const { make } = plugin
    return run(make(), plugins, io)
  }
  if (isCall()) return runByType(name, plugins, io)
  io.stderr(usage(name, plugins))
  return 1
}

function usage(name: string, plugins: readonly PluginMaker[]): string {
  const names = plugins.map(one => one.name).join(' ')
  return `Patchbay v${PATCHBAY_VERSION}: CNI plugins in one file; no plugin is named ${JSON.stringify(name)}
Start it under the name of a plugin, by a link to it:
  ln patchbay-cni bridge
Plugins: ${names}
`
}
