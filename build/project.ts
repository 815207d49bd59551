/** Where things are in this repository, and which plugins it holds. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The repository's root, without a slash at the end. */
export const ROOT = join(import.meta.dirname, '..')

export type Engine = 'node' | 'native'

export const ENGINES: readonly Engine[] = ['node', 'native']

/** The pinned Node that runs everything and is the base of dist/node/patchbay. */
export const NODE_BIN = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')

/** Folders below which source files are looked for. */
const SOURCE_FOLDERS: readonly string[] = [
  'lib',
  'plugins',
  'ipam',
  'agent',
  'dhcp',
  'cli',
  'conformance',
  'build',
  'fuzz'
]

/** The directory of an engine's executables: a CNI_PATH. */
export function binDir(engine: Engine): string {
  return join(ROOT, 'dist', engine, 'bin')
}

/** The one file behind all names in binDir. */
export function executable(engine: Engine): string {
  return join(ROOT, 'dist', engine, engine === 'node' ? 'patchbay' : 'patchbay-cni')
}

/** The source an engine is built from. */
export function entryPoint(engine: Engine): string {
  return engine === 'node' ? 'cli/main.ts' : 'plugins/main.ts'
}

/** A plugin's name and its folder, such as `ipam/host-local`. */
export interface PluginFolder {
  readonly name: string
  readonly folder: string
}

/** Every folder plugins/X or ipam/X that holds X.ts, in order of name. The one list of what is built and linked. */
export function pluginFolders(root: string = ROOT): readonly PluginFolder[] {
  const found: PluginFolder[] = []
  for (const parent of ['plugins', 'ipam']) {
    if (!existsSync(join(root, parent))) continue
    for (const entry of readdirSync(join(root, parent), { withFileTypes: true })) {
      const folder = `${parent}/${entry.name}`
      const isPlugin = entry.isDirectory() && existsSync(join(root, folder, `${entry.name}.ts`))
      if (isPlugin) found.push({ name: entry.name, folder })
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Files below the source folders whose names end so, as paths from the root, sorted. */
export function sourceFiles(ending = '.ts', folders: readonly string[] = SOURCE_FOLDERS): readonly string[] {
  const found: string[] = []
  for (const folder of folders) {
    if (!existsSync(join(ROOT, folder))) continue
    for (const path of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (path.endsWith(ending)) found.push(`${folder}/${path}`)
    }
  }
  return found.sort()
}
