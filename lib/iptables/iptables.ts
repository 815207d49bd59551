/**
 * iptables and ip6tables by their command line: for the `iptables` backends alone, whose purpose is to share chains with
 * other tools that use them. Nothing here goes through a shell.
 *
 * @source man 8 iptables, man 8 iptables-restore
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { sha512Hex } from '../hash/sha512.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { runProgram } from '../sys/exec.ts'
import { LOCK_DIRECTORY, withLock } from '../sys/file-lock.ts'
import { comeHome } from '../sys/netns.ts'
import { CHAIN_NAME_LENGTH } from './chain-name.ts'

const DIRECTORIES: readonly string[] = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/bin', '/usr/local/bin']
const LEGACY_TABLES: readonly string[] = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names']
const LOCK = `${LOCK_DIRECTORY}/iptables`
/** Seconds to wait for another iptables. */
const WAIT = '30'

/** The program for a family's packets; undefined when it is not installed. PATH first, then the usual places. */
export function findIptables(family: 4 | 6, suffix = ''): string | undefined {
  const name = `${family === 4 ? 'iptables' : 'ip6tables'}${suffix}`
  const fromPath = (process.env.PATH ?? '').split(':').filter(directory => directory.startsWith('/'))
  for (const directory of fromPath.concat(DIRECTORIES)) {
    if (existsSync(`${directory}/${name}`)) return `${directory}/${name}`
  }
  return undefined
}

/** Whether any of it is installed, for either family. */
export function hasIptables(): boolean {
  return findIptables(4) !== undefined || findIptables(6) !== undefined
}

/**
 * The rules of a chain, each as `-A CHAIN …`, in their order.
 *
 * @returns undefined when there is no such chain
 * @throws {KernelError} ENOENT without iptables
 */
export function listIptables(family: 4 | 6, table: string, chain: string): readonly string[] | undefined {
  const path = program(family, '')
  const child = spawnSync(path, ['-w', WAIT, '-t', table, '-S', chain], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe']
  })
  // 1 = no such chain; 4 stands for a resource problem, also when the table is busy.
  if (child.status === 1) return undefined
  if (child.status !== 0) {
    throw new KernelError('list iptables chain', `${table} ${chain}`, 'EIO', child.stderr.trim())
  }
  return child.stdout.split('\n').filter(line => line.startsWith('-A '))
}

/** Which iptables: the host's own, or the older one beside it, whose tables are the kernel's other packet filter. */
export type Engine = '' | '-legacy'

/**
 * A whole table: `:CHAIN …` for each chain, `-A CHAIN …` for each rule.
 *
 * @throws {KernelError} ENOENT without iptables
 */
export function saveIptables(family: 4 | 6, table: string, engine: Engine = ''): readonly string[] {
  const path = program(family, `${engine}-save`)
  const child = spawnSync(path, ['-t', table], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.status !== 0) throw new KernelError('run', JSON.stringify(path), 'EIO', child.stderr.trim())
  return child.stdout.split('\n').filter(line => line.startsWith('-A ') || line.startsWith(':'))
}

/** Whether a saved table has the chain. */
export function hasChain(saved: readonly string[], chain: string): boolean {
  return saved.some(line => line.startsWith(`:${chain} `))
}

/** The rules of one chain of a saved table. */
export function rulesOf(saved: readonly string[], chain: string): readonly string[] {
  return saved.filter(line => line.startsWith(`-A ${chain} `))
}

/** The word after an option in a rule: `optionOf(rule, '--dport')`; the empty string when there is none. */
export function optionOf(rule: string, option: string): string {
  const words = rule.split(' ')
  const at = words.indexOf(option)
  return at < 0 ? '' : (words[at + 1] ?? '')
}

/** Whether somebody has used this table of the older iptables, whose rules nf_tables doesn't show. */
export function hasLegacyTable(table: string): boolean {
  return LEGACY_TABLES.some(
    path =>
      existsSync(path) &&
      readFileSync(path, 'utf8')
        .split('\n')
        .some(one => one === table)
  )
}

/** Whether the host's own iptables is the older one, whatever it is called. */
export function isLegacy(family: 4 | 6): boolean {
  const path = findIptables(family)
  if (path === undefined) return false
  const child = spawnSync(path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return child.status === 0 && child.stdout.indexOf('(legacy)') >= 0
}

/** The policy of a built-in chain, `ACCEPT` or `DROP`; undefined when it cannot be told. */
export function iptablesPolicy(family: 4 | 6, suffix: string, table: string, chain: string): string | undefined {
  const path = findIptables(family, suffix)
  if (path === undefined) return undefined
  const child = spawnSync(path, ['-w', WAIT, '-t', table, '-S', chain], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe']
  })
  if (child.status !== 0) return undefined
  const line = child.stdout.split('\n').find(one => one.startsWith(`-P ${chain} `))
  return line === undefined ? undefined : line.slice(`-P ${chain} `.length).trim()
}

/**
 * Carries out commands on one table in one go: `-N CHAIN`, `-A`, `-I`, `-D`, `-F`, `-X` as
 * on the command line.
 *
 * @throws {KernelError} EINVAL when iptables-restore refuses, and then nothing is changed; ENOENT without iptables
 */
export function changeIptables(family: 4 | 6, table: string, lines: readonly string[], engine: Engine = ''): void {
  if (lines.length === 0) return
  // Names and conditions come from configurations: a line break in one would begin another rule, of any table.
  if (lines.some(line => /[\r\n\0]/.test(line))) {
    throw new KernelError('change', 'iptables', 'EINVAL', 'a rule holds a line break')
  }
  const path = program(family, `${engine}-restore`)
  const input = [`*${table}`].concat(lines, ['COMMIT', '']).join('\n')
  const finished = runProgram(path, ['--noflush', '-w', WAIT], input)
  if (finished.status === 0) return
  const explanation = `exit status ${String(finished.status)} for ${JSON.stringify(lines.join('; '))}`
  throw new KernelError('run', JSON.stringify(path), 'EINVAL', explanation)
}

/** Runs `work` while no other Patchbay plugin looks at chains to change them. @returns what `work` does */
export function withIptablesLock(work: () => boolean): boolean {
  return withLock<boolean>(LOCK, 0o600, work)
}

/** iptables works in the namespace that it is started in. */
function program(family: 4 | 6, suffix: string): string {
  comeHome()
  const path = findIptables(family, suffix)
  if (path !== undefined) return path
  const name = `${family === 4 ? 'iptables' : 'ip6tables'}${suffix}`
  throw new KernelError('run', JSON.stringify(name), 'ENOENT', 'it is not installed')
}

/** The name of a chain of one container, as the reference plugins make it, so that either removes what the other made. */
export function attachmentChain(prefix: string, network: string, containerId: string): string {
  return `${prefix}${sha512Hex(network + containerId)}`.slice(0, CHAIN_NAME_LENGTH)
}

/** An argument as it is where iptables-restore reads one word of it, else quoted. */
export function argument(text: string): string {
  return /^[A-Za-z0-9_.,:/=@%+!-]+$/.test(text) ? text : quoted(text)
}

/** What `-m comment` keeps, and what rules are compared by: the rest is cut without a word. @source linux/netfilter/xt_comment.h */
const LONGEST_COMMENT = 255

/** `-m comment --comment "…"`, as `-S` prints it. */
export function commentMatch(text: string): string {
  return `-m comment --comment ${quoted(text.slice(0, LONGEST_COMMENT))}`
}

/** An argument with blanks or quotes as iptables-restore reads it and `-S` prints it. */
export function quoted(text: string): string {
  return `"${text.split('\\').join('\\\\').split('"').join('\\"')}"`
}
