/**
 * Each plugin of the Node engine's executable is an asset with nothing of the others but the IPAM plugins, which it may call in
 * its own process: what is not there is neither read, nor compiled, nor run at a start. One more asset has all of them, for calls
 * under a name that is no plugin's.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Plugin } from 'esbuild'
import { pluginNames } from '../plugins/names.ts'
import { pluginFolders, ROOT } from './project.ts'

/** What the names of these assets begin with. */
export const PLUGIN_ASSET = 'plugin-'

/** The asset with all plugins. */
const EVERY_PLUGIN = 'plugins.cjs'

interface PluginAsset {
  readonly name: string
  readonly plugins: readonly string[]
}

export function pluginAssets(): readonly PluginAsset[] {
  const delegates = pluginFolders().flatMap(({ name, folder }) => (folder.startsWith('ipam/') ? [name] : []))
  const each = pluginNames().map(name => ({
    name: `${PLUGIN_ASSET}${name}.cjs`,
    plugins: delegates.includes(name) ? [name] : [name, ...delegates]
  }))
  return [{ name: EVERY_PLUGIN, plugins: pluginNames() }, ...each]
}

/** What an asset is made of: a plugin's call has answered when it returns, and nothing is left to be waited for. */
export const PLUGIN_ENTRY = `
import { exitAtOnce } from '../lib/sys/libc.node.ts'
import { startPlugin } from '../plugins/start.ts'
export { startPlugin }
export function runPlugin(program) { exitAtOnce(startPlugin(program)) }
`

/** For esbuild: cli/main.ts starts plugins out of their assets. */
export function startedFromAssets(): Plugin {
  return replacing('plugins/start.ts', () => {
    return `
import { assetExports } from '../cli/asset.ts'
import { pluginMeant } from '../plugins/started-as.ts'
export function startPlugin(program) {
  const name = pluginMeant(program)
  assetExports(name === undefined ? '${EVERY_PLUGIN}' : '${PLUGIN_ASSET}' + name + '.cjs').runPlugin(program)
}
`
  })
}

/** For esbuild: the plugins' names without the plugins. */
export function namesAsTexts(): Plugin {
  return replacing(
    'plugins/names.ts',
    () => `export function pluginNames() { return ${JSON.stringify(pluginNames())} }\n`
  )
}

/** For esbuild: the registry has these plugins alone. */
export function registryOf(wanted: readonly string[]): Plugin {
  return replacing('plugins/registry.ts', path => withPlugins(readFileSync(path, 'utf8'), wanted))
}

/** The registry's text without the other plugins: neither in its list, which has the order of their names, nor imported. */
function withPlugins(text: string, wanted: readonly string[]): string {
  const lines = text.split('\n')
  const entries = lines.filter(line => ENTRY.test(line))
  const names = pluginNames()
  if (entries.length !== names.length) throw new Error('plugins/registry.ts: not one plugin to a line of the list')
  const others = entries.filter((_line, index) => !wanted.includes(names[index] ?? ''))
  const made = others.map(line => ENTRY.exec(line)?.[1])
  const isOthers = (line: string): boolean =>
    others.includes(line) ||
    (IMPORT.exec(line)?.[1]
      ?.split(', ')
      .every(name => made.includes(name)) ??
      false)
  return lines.filter(line => !isOthers(line)).join('\n')
}

const ENTRY = /^ {4}\{ name: '[\w-]+', make: \(\) => (\w+)\((?:kernel)?\) \},?$/
const IMPORT = /^import \{ ([\w, ]+) \} from/

/** A module's text is another one. */
function replacing(module: string, textOf: (path: string) => string): Plugin {
  const whole = join(ROOT, module)
  // All texts here are in folders of the root.
  const resolveDir = join(ROOT, dirname(module))
  return {
    name: `another ${module}`,
    setup: build => {
      const filter = new RegExp(`^${whole.replaceAll('.', '\\.')}$`)
      build.onLoad({ filter }, ({ path }) => ({ contents: textOf(path), loader: 'ts', resolveDir }))
    }
  }
}
