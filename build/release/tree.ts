/** Files of a released form before it is packed: what lies where, with which mode. Every form is made of the same pieces. */
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { agentUnits } from '../../cli/agent-units.ts'
import { GRAMMAR } from '../../cli/command-line.ts'
import { COMPLETIONS } from '../../cli/completion-scripts.ts'
import { pages } from '../../cli/man.ts'
import { licensesOf } from '../licenses.ts'
import { pluginFolders, ROOT } from '../project.ts'
import type { Built } from './executables.ts'

export type Entry =
  | { readonly kind: 'file'; readonly from: string; readonly mode: number }
  | { readonly kind: 'text'; readonly text: string | Uint8Array; readonly mode: number }
  /** A second name of another path of the same tree. */
  | { readonly kind: 'hardlink'; readonly to: string }
  | { readonly kind: 'symlink'; readonly to: string }

/** By path, without a slash at the beginning. */
export type Tree = ReadonlyMap<string, Entry>

/** The tree below a directory. */
export function below(directory: string, tree: Tree): Tree {
  const moved = (entry: Entry): Entry =>
    entry.kind === 'hardlink' ? { kind: 'hardlink', to: join(directory, entry.to) } : entry
  return new Map([...tree].map(([path, entry]) => [join(directory, path), moved(entry)]))
}

/** @throws Error for a path that two of them have */
export function together(...trees: readonly Tree[]): Tree {
  const all = new Map<string, Entry>()
  for (const [path, entry] of trees.flatMap(tree => [...tree])) {
    if (all.has(path)) throw new Error(`release: two files at ${path}`)
    all.set(path, entry)
  }
  return all
}

export function text(content: string | Uint8Array, mode = 0o644): Entry {
  return { kind: 'text', text: content, mode }
}

/** Puts a tree into a directory, whatever this process' umask. */
export function writeTree(tree: Tree, directory: string): void {
  const links = [...tree].filter(([, entry]) => entry.kind === 'hardlink')
  const others = [...tree].filter(([, entry]) => entry.kind !== 'hardlink')
  for (const [path, entry] of [...others, ...links]) {
    const target = join(directory, path)
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 })
    writeEntry(entry, target, directory)
  }
}

function writeEntry(entry: Entry, target: string, directory: string): void {
  if (entry.kind === 'hardlink') linkSync(join(directory, entry.to), target)
  else if (entry.kind === 'symlink') symlinkSync(entry.to, target)
  else {
    if (entry.kind === 'file') copyFileSync(entry.from, target)
    else writeFileSync(target, entry.text)
    chmodSync(target, entry.mode)
  }
}

/** The plugins alone, as the reference's archives hold them. */
export function pluginTree(built: Built): Tree {
  const names = pluginFolders().map(({ name }): [string, Entry] => [name, { kind: 'hardlink', to: 'patchbay-cni' }])
  return new Map<string, Entry>([['patchbay-cni', { kind: 'file', from: built.native.file, mode: 0o755 }], ...names])
}

/** Ours, and those of what is linked into the executables where they lie alone. */
export function licenseTree(linked?: string): Tree {
  const own: [string, Entry] = ['LICENSE', { kind: 'file', from: join(ROOT, 'LICENSE'), mode: 0o644 }]
  return new Map([own, ...(linked === undefined ? [] : [['THIRD_PARTY_LICENSES', text(linked)] as const])])
}

/** The command with both engines: it looks for the native one beside its own directory. */
export function programTree(built: Built): Tree {
  const packages = [`node-linux-${process.arch}`, ...built.bundled]
  return new Map<string, Entry>([
    ['node/patchbay', { kind: 'file', from: built.node, mode: 0o755 }],
    ['node/THIRD_PARTY_LICENSES', text(licensesOf(packages))],
    ['native/patchbay-cni', { kind: 'file', from: built.native.file, mode: 0o755 }],
    ['native/THIRD_PARTY_LICENSES', text(built.native.licenses)]
  ])
}

/** The command where a system has it. */
export function systemTree(program: Tree): Tree {
  const command: Tree = new Map([['patchbay', { kind: 'symlink', to: '../lib/patchbay/node/patchbay' }]])
  return together(below('usr/lib/patchbay', program), below('usr/bin', command))
}

/** The plugins of programTree by their names: a directory of plugins, for hosts on which nothing else is installed. */
export function programPluginTree(): Tree {
  return new Map(
    pluginFolders().map(({ name }): [string, Entry] => [
      `native/bin/${name}`,
      { kind: 'hardlink', to: 'native/patchbay-cni' }
    ])
  )
}

/** What everybody needs who unpacks an archive. */
export function documentTree(): Tree {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
  const files = ['LICENSE', 'CHANGELOG.md', 'README.md', ...docs]
  return new Map(files.map((path): [string, Entry] => [path, { kind: 'file', from: join(ROOT, path), mode: 0o644 }]))
}

/** Manual pages and completion where man and the shells look for them below a prefix's `share`. */
export async function helpTree(form: 'plain' | 'gzip'): Promise<Tree> {
  const manuals = [...(await pages(GRAMMAR))].map(([name, page]): [string, Entry] =>
    form === 'gzip' ? [`man/man1/${name}.gz`, text(gzipSync(page, { level: 9 }))] : [`man/man1/${name}`, text(page)]
  )
  const completions = [...COMPLETIONS.values()].map((one): [string, Entry] => [one.path, text(one.text)])
  return new Map([...manuals, ...completions])
}

const DHCP_UNITS: readonly string[] = ['patchbay-dhcp.socket', 'patchbay-dhcp.service']

/** Sockets first: one that still listens when its service is stopped starts it again. */
export const UNITS: readonly string[] = ['.socket', '.service'].flatMap(kind =>
  [...agentUnits('').map(unit => unit.name), ...DHCP_UNITS].filter(name => name.endsWith(kind))
)

/** The units of agent and DHCP daemon. @param program the `patchbay` command that they start */
export function unitTree(program: string): Tree {
  const agent = agentUnits(program).map((unit): [string, Entry] => [unit.name, text(unit.text)])
  const dhcp = DHCP_UNITS.map((name): [string, Entry] => {
    const unit = readFileSync(join(ROOT, 'dhcp', 'systemd', name), 'utf8')
    return [name, text(unit.replace('/usr/local/bin/patchbay', program))]
  })
  return new Map([...agent, ...dhcp])
}
