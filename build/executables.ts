/** Puts a built executable and its plugin names into dist/<engine>, and tells whether what is there is up to date. */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { binDir, type Engine, executable, pluginFolders, ROOT, sourceFiles } from './project.ts'

const STAMP = 'inputs.sha256'

/** The Node engine has the command in it too, which has the conformance suite. */
const FOLDERS: Readonly<Record<Engine, readonly string[]>> = {
  native: ['lib', 'plugins', 'ipam'],
  node: ['lib', 'plugins', 'ipam', 'agent', 'dhcp', 'cli', 'conformance']
}

const NATIVE_INPUTS: readonly string[] = [
  'build/held-values.ts',
  'build/idle-counting.ts',
  'build/native-order.ts',
  'build/native-order.txt',
  'build/native-runtime.ts',
  'build/native-toolchain.ts',
  'build/scriptc-lists.ts',
  ...sourceFiles('.c', ['lib/sys/native']),
  ...sourceFiles('.h', ['lib/sys/native'])
]

/** A digest of everything the build of an engine reads. */
export function inputsDigest(engine: Engine, toolchain: string): string {
  // The conformance suite in the Node engine's command starts guests, which lib/testing has; a plugin has nothing of it.
  const isInput = (path: string) =>
    !path.endsWith('.test.ts') && (engine === 'node' || !path.startsWith('lib/testing/'))
  const code = sourceFiles('.ts', FOLDERS[engine]).filter(isInput)
  const page = engine === 'node' ? ['.html', '.css'].flatMap(ending => sourceFiles(ending, ['cli/ui/page'])) : []
  const files = [...code, ...page, 'package.json', 'package-lock.json']
  for (const path of [
    `build/${engine}-engine.ts`,
    ...(engine === 'native' ? NATIVE_INPUTS : []),
    'build/code-cache.ts',
    'build/command-asset.ts',
    'build/executables.ts',
    'build/lazy-builtins.ts',
    'build/licenses.ts',
    'build/plugin-assets.ts',
    'build/warm-up.ts',
    'lib/sys/ffi.json'
  ]) {
    if (existsSync(join(ROOT, path))) files.push(path)
  }
  const hash = createHash('sha256').update(`${toolchain}\n`)
  for (const path of files) hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)))
  return hash.digest('hex')
}

/** Whether dist/<engine> was built from exactly these inputs and is whole. */
export function isUpToDate(engine: Engine, digest: string): boolean {
  const stamp = join(ROOT, 'dist', engine, STAMP)
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) return false
  return [executable(engine), ...pluginFolders().map(({ name }) => join(binDir(engine), name))].every(existsSync)
}

/**
 * Moves a finished file into place and links every plugin's name to it. Each name is replaced by one rename, so that
 * a runtime that execs a plugin during a build gets the old file or the new one, never a torn one.
 */
export function publish(engine: Engine, built: string, digest: string, licenses: string): void {
  const target = executable(engine)
  const bin = binDir(engine)
  const stamp = join(dirname(target), STAMP)
  mkdirSync(bin, { recursive: true })
  rmSync(stamp, { force: true })
  chmodSync(built, 0o755)
  renameSync(built, target)
  const names = pluginFolders().map(({ name }) => name)
  for (const name of names) {
    const fresh = join(bin, `.${name}.${process.pid}`)
    rmSync(fresh, { force: true })
    linkSync(target, fresh)
    renameSync(fresh, join(bin, name))
  }
  for (const name of readdirSync(bin)) if (!names.includes(name)) rmSync(join(bin, name), { force: true })
  writeFileSync(join(dirname(target), 'THIRD_PARTY_LICENSES'), licenses)
  writeFileSync(stamp, digest)
}

/** A path beside the target for a file that is still being made. */
export function unfinished(engine: Engine, suffix = ''): string {
  const folder = dirname(executable(engine))
  mkdirSync(folder, { recursive: true })
  return join(folder, `.building.${process.pid}${suffix}`)
}
