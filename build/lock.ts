/**
 * Judges package-lock.json, and with --write completes it.
 *
 * `npm ci` wants an entry for every optional package of every platform, even those it will never install; a registry
 * that lacks some of them makes `npm install` write a lock file that `npm ci` then refuses everywhere.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './project.ts'

interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: string | readonly string[]
  readonly cpu?: string | readonly string[]
  readonly libc?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Record<string, LockEntry>
}

const PATH = join(ROOT, 'package-lock.json')

/** The optional packages that have no entry, with what is known of them from their names. */
function absentEntries(lock: Lock): ReadonlyMap<string, LockEntry> {
  const absent = new Map<string, LockEntry>()
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const path = `node_modules/${name}`
      if (lock.packages[path] !== undefined || absent.has(path) || !/^[0-9.]+$/.test(version)) continue
      const os = /\b(android|darwin|linux|win32)\b/.exec(name)?.[1]
      const cpu = /\b(arm64|x64)\b/.exec(name)?.[1]
      absent.set(path, {
        version,
        ...(cpu === undefined ? {} : { cpu: [cpu] }),
        dev: true,
        ...(name.includes('musl') ? { libc: ['musl'] } : {}),
        optional: true,
        ...(os === undefined ? {} : { os: [os] })
      })
    }
  }
  return absent
}

function readLock(): Lock {
  return JSON.parse(readFileSync(PATH, 'utf8'))
}

/** What is wrong with the lock file, one text each. */
export function lockProblems(): readonly string[] {
  const lock = readLock()
  const problems: string[] = []
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined) problems.push(`package-lock.json: ${path} holds a download address`)
  }
  for (const path of absentEntries(lock).keys()) problems.push(`package-lock.json: no entry for ${path}: npm run lock`)
  return problems
}

/** Adds the absent entries, in npm's order. */
export function completeLock(): void {
  const lock = readLock()
  const all = Object.entries({ ...lock.packages, ...Object.fromEntries(absentEntries(lock)) })
  all.sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync(PATH, `${JSON.stringify({ ...lock, packages: Object.fromEntries(all) }, null, 2)}\n`)
}

if (import.meta.main) {
  if (process.argv.includes('--write')) completeLock()
  for (const problem of lockProblems()) {
    process.stderr.write(`${problem}\n`)
    process.exitCode = 1
  }
}
