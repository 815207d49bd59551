/**
 * What `patchbay install` will do, file by file, before it does any of it: nothing that is somebody else's is replaced
 * unless that was asked for, and then it is kept.
 */
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { loadNetworks } from '../lib/runtime/network.ts'

/** Where what is replaced is kept, in the directory that it was in. Runtimes do not look into directories there. */
export const KEPT = '.before-patchbay'

/** The file that all plugin names are links to. */
export const MULTI_CALL = 'patchbay-cni'

type Action =
  /** It isn't there. */
  | 'create'
  /** It is Patchbay's already. */
  | 'update'
  /** It is right as it is. */
  | 'leave'
  /** It is somebody else's. */
  | 'replace'

export interface Step {
  readonly path: string
  readonly action: Action
}

/** What will happen to each plugin's name. */
export function planPlugins(directory: string, names: readonly string[]): readonly Step[] {
  const own = join(directory, MULTI_CALL)
  return [MULTI_CALL, ...names].map(name => {
    const path = join(directory, name)
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return { path, action: 'create' }
    const isOwn = name === MULTI_CALL || isSameProgram(own, path) || isPatchbay(path)
    return { path, action: isOwn ? 'update' : 'replace' }
  })
}

/** A link to our file, or a copy of it where the file system has no links. */
export function isSameProgram(own: string, path: string): boolean {
  const a = statSync(own, { throwIfNoEntry: false })
  const b = statSync(path, { throwIfNoEntry: false })
  if (a === undefined || b === undefined) return false
  if (a.dev === b.dev && a.ino === b.ino) return true
  return a.isFile() && b.isFile() && a.size === b.size && digestOf(own) === digestOf(path)
}

/**
 * Whether a file is Patchbay's program, of whatever version: an executable with the line of its banner in it.
 *
 * Sequence prevented: a host goes back to a version that knows a plugin less, whose name stays a link to the newer program; on the way
 * up again the name is not the installed program's, and would be taken for somebody else's.
 */
function isPatchbay(path: string): boolean {
  if (!lstatSync(path).isFile()) return false
  const program = readFileSync(path)
  return program.subarray(0, ELF.length).equals(ELF) && program.includes('Patchbay v')
}

const ELF = Buffer.from('\x7fELF', 'latin1')

/** SHA-256, in hexadecimal. */
export function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** What will happen to a network's file. One that says the same in other words is left. */
export function planConfig(path: string, config: object): Step {
  if (!existsSync(path)) return { path, action: 'create' }
  try {
    const there: unknown = JSON.parse(readFileSync(path, 'utf8'))
    // Through JSON, as the file is.
    return { path, action: isDeepStrictEqual(there, JSON.parse(JSON.stringify(config))) ? 'leave' : 'replace' }
  } catch {
    return { path, action: 'replace' }
  }
}

/** What will happen to a file of ours that people may have changed. */
export function planText(path: string, text: string): Step {
  if (!existsSync(path)) return { path, action: 'create' }
  return { path, action: readFileSync(path, 'utf8') === text ? 'leave' : 'replace' }
}

/**
 * Whether another file of the directory has a network of this name: runtimes take the first file, and whoever wrote the second
 * thinks that it counts.
 */
export function nameClash(path: string, name: string): string | undefined {
  const other = loadNetworks(dirname(path)).networks.find(one => one.name === name && one.path !== path)
  if (other === undefined) return undefined
  const there = `${JSON.stringify(other.name)} is in ${JSON.stringify(other.path)}`
  return `a network ${there} already: two of one name would be mixed up`
}

/** Other networks that a runtime which takes the first file only would use instead. */
export function filesBefore(path: string): readonly string[] {
  const directory = dirname(path)
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter(name => /\.(conflist|conf|json)$/.test(name) && join(directory, name) < path)
    .sort()
    .map(name => join(directory, name))
}

/** A line for people. */
export function stepText({ path, action }: Step, isDry: boolean): string {
  const words: Readonly<Record<Action, string>> = isDry
    ? { create: 'would create ', update: 'would update ', leave: 'would leave  ', replace: 'would replace' }
    : { create: 'created ', update: 'updated ', leave: 'left    ', replace: 'replaced' }
  const kept = action === 'replace' ? ` (the former one: ${keptPath(path)})` : ''
  return `${words[action]} ${path}${kept}`
}

/** Where a replaced file is kept. */
export function keptPath(path: string): string {
  return join(dirname(path), KEPT, path.slice(dirname(path).length + 1))
}
