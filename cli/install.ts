/**
 * `patchbay install`: puts the plugins into a directory of CNI plugins. Every name appears, or is replaced, by one rename,
 * so that a runtime that starts a plugin meanwhile gets the old file or the new one and never a part of one.
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isSea } from 'node:sea'
import { parseArgs } from 'node:util'
import { pluginNames } from '../plugins/start.ts'
import { CommandError, jsonLine, type Output } from './output.ts'

/** The file that all names are links to. */
const MULTI_CALL = 'patchbay-cni'

/** `install [DIR]` */
export async function install(argv: readonly string[], output: Output): Promise<number> {
  const options = { engine: { type: 'string' }, json: { type: 'boolean' } } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  if (positionals.length > 1) throw new CommandError('read the command: the form is: patchbay install [DIR]')
  const directory = resolve(positionals[0] ?? '/opt/cni/bin')
  const source = executableOf(values.engine)
  const names = pluginNames()
  installInto(directory, source, names)
  if (values.json === true) output.out(jsonLine({ directory, source, plugins: names }))
  else output.out(`installed ${String(names.length)} plugins in ${directory}: ${names.join(' ')}\n`)
  return 0
}

/**
 * Puts one copy of `source` into the directory and links every name to it.
 * @throws CommandError when the directory cannot be written
 */
export function installInto(directory: string, source: string, names: readonly string[]): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    replace(join(directory, MULTI_CALL), fresh => copyDurably(source, fresh))
    for (const name of names) replace(join(directory, name), fresh => linkOrCopy(join(directory, MULTI_CALL), fresh))
    syncDirectory(directory)
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new CommandError(
      `install plugins in ${JSON.stringify(directory)}: ${cause}`,
      'run as root, or name a directory you may write'
    )
  }
}

function replace(path: string, make: (fresh: string) => void): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error(`${path} is a directory`)
  const fresh = join(dirname(path), `.${basename(path)}.${String(process.pid)}`)
  try {
    rmSync(fresh, { force: true })
    make(fresh)
    renameSync(fresh, path)
  } finally {
    rmSync(fresh, { force: true })
  }
}

/** On disk before it gets its name: after a power cut the name must not lead to an empty file. */
function copyDurably(source: string, fresh: string): void {
  copyFileSync(source, fresh, constants.COPYFILE_FICLONE)
  chmodSync(fresh, 0o755)
  const fd = openSync(fresh, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Some file systems have no hard links. */
function linkOrCopy(file: string, fresh: string): void {
  try {
    linkSync(file, fresh)
  } catch {
    copyDurably(file, fresh)
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** The built executable to install: the native one where it was built, since it starts much faster. */
function executableOf(engine: string | undefined): string {
  const dist = isSea()
    ? dirname(dirname(process.execPath))
    : join(dirname(dirname(resolve(process.argv[1] ?? '.'))), 'dist')
  const native = join(dist, 'native', MULTI_CALL)
  const node = isSea() ? process.execPath : join(dist, 'node', 'patchbay')
  if (engine === undefined) return firstExisting([native, node])
  if (engine === 'native') return firstExisting([native])
  if (engine === 'node') return firstExisting([node])
  throw new CommandError(`read --engine ${JSON.stringify(engine)}: must be native or node`)
}

function firstExisting(paths: readonly string[]): string {
  const path = paths.find(existsSync)
  if (path !== undefined) return path
  const looked = paths.map(one => JSON.stringify(one)).join(', ')
  throw new CommandError(
    `find the plugins to install: none at ${looked}`,
    'build them: npm run build, npm run build:native'
  )
}
