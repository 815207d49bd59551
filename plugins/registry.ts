/** Every plugin of the executable: the one list to add a new one to. */
import type { Plugin } from '../lib/cni/plugin.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { loopback } from './loopback/loopback.ts'

/** All plugins, over a kernel that opens nothing before a plugin asks. In the order of their names. */
export function allPlugins(kernel: Kernel): readonly Plugin[] {
  return [loopback(kernel)]
}
