/** Where the namespaces of recorded attachments are now, and which of them are gone. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { NetnsError } from '../sys/netns.ts'
import { inodeOf, netnsIdentity } from '../sys/netns-identity.ts'

/** What is recorded of an attachment's namespace. */
export interface RecordedNamespace {
  readonly netns: string
  /** '' where the record is another runtime's. */
  readonly netnsIdentity: string
}

/**
 * The namespaces of this host as they were when they were first asked for: make one for a command, not for longer.
 *
 * A process may have ended and left its namespace to others (`sh -c 'sleep 5000 & sleep 5'`), and its number may be another
 * process's by now. So a record with an identity is looked for everywhere: at its path, among the processes, among the mounts.
 */
export class Namespaces {
  #found: ReadonlyMap<string, readonly string[]> | undefined

  /**
   * A path that leads to the recorded namespace; '' when it is gone. One that may not be looked at counts as there:
   * nothing is taken away from a container that may live.
   */
  pathOf(recorded: RecordedNamespace): string {
    if (recorded.netns === '') return ''
    const there = lookAt(recorded.netns)
    if (there === 'hidden') return recorded.netns
    if (recorded.netnsIdentity === '') return there === 'absent' ? '' : recorded.netns
    if (there === recorded.netnsIdentity) return recorded.netns
    const candidates = this.#candidates().get(inodeOf(recorded.netnsIdentity)) ?? []
    return candidates.find(path => lookAt(path) === recorded.netnsIdentity) ?? ''
  }

  isGone(recorded: RecordedNamespace): boolean {
    return this.pathOf(recorded) === ''
  }

  /** By inode. */
  #candidates(): ReadonlyMap<string, readonly string[]> {
    this.#found ??= namespacePaths()
    return this.#found
  }
}

/** The identity of what a path leads to now. */
function lookAt(path: string): string {
  try {
    return netnsIdentity(path)
  } catch (error) {
    return error instanceof NetnsError && error.reason !== 'unreadable' ? 'absent' : 'hidden'
  }
}

/** Every path that leads to a network namespace, by the namespace's inode number: mount points and `/proc/PID/ns/net`. */
export function namespacePaths(): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>()
  for (const [inode, path] of [...mounts(), ...processes()]) {
    const paths = all.get(inode)
    if (paths === undefined) all.set(inode, [path])
    else paths.push(path)
  }
  return all
}

function processes(): readonly (readonly [string, string])[] {
  return readdirSync('/proc')
    .filter(name => /^[0-9]+$/.test(name))
    .flatMap(pid => {
      const path = `/proc/${pid}/ns/net`
      try {
        return [[inodeIn(readlinkSync(path)), path] as const]
      } catch {
        return [] // it has ended meanwhile, or is a zombie
      }
    })
}

/** @source man 5 proc, mountinfo: the fourth field is the root, the fifth the mount point with octal escapes */
function mounts(): readonly (readonly [string, string])[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return lines.flatMap(line => {
    const [, , , root = '', point = ''] = line.split(' ')
    return root.startsWith('net:[') ? [[inodeIn(root), unescaped(point)] as const] : []
  })
}

function inodeIn(text: string): string {
  return /^net:\[([0-9]+)\]$/.exec(text)?.[1] ?? ''
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
