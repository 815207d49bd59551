/** The names that plugins are installed under. In the Node engine's executable they are texts: its start needs no plugin for them. */
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { allPlugins } from './registry.ts'

/** The plugins' names, in order. */
export function pluginNames(): readonly string[] {
  return allPlugins(new LinuxKernel()).map(plugin => plugin.name)
}
