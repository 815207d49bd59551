/**
 * Starting other programs: foreign CNI plugins and, for the iptables backends, iptables. Never through a shell.
 */
import { spawnSync } from 'node:child_process'
import { writeSync } from 'node:fs'
import * as libc from '#libc'
import { SysError } from './errors.ts'
import { closeDescriptor } from './files.ts'
import { comeHome } from './netns.ts'

/** asm-generic/ioctls.h: close-on-exec. */
const FIOCLEX = 0x5451

/** What a finished program left: its exit status (128 + n after signal n, as shells count) and its stdout. */
export interface Finished {
  readonly status: number
  readonly stdout: string
}

/**
 * Runs a program with the given standard input, this process's environment and standard error.
 *
 * The input goes through an anonymous file laid over descriptor 0: the native engine's spawnSync has no way to
 * hand over input of its own, and a file, unlike a pipe, takes any length without a second process to feed it.
 *
 * @param path absolute path of the executable
 * @throws {SysError} when it cannot be started, or not in the own network namespace: ENOENT, EACCES, ETXTBSY
 */
export function runProgram(path: string, args: readonly string[], stdin: string): Finished {
  comeHome()
  const input = libc.memfdCreate()
  if (input < 0) throw new SysError('memfd_create', '', libc.errnoName(), '')
  const saved = libc.dup(0)
  if (saved >= 0) libc.ioctlNumber(saved, FIOCLEX, 0)
  try {
    const bytes = new TextEncoder().encode(stdin)
    // A write at a position leaves the file's offset at 0, where the child starts to read.
    let offset = 0
    while (offset < bytes.length) offset += writeSync(input, bytes, offset, bytes.length - offset, offset)
    if (libc.dup2(input, 0) < 0) throw new SysError('dup2', 'standard input', libc.errnoName(), '')
    return spawn(path, args)
  } finally {
    closeDescriptor(input)
    if (saved >= 0) {
      libc.dup2(saved, 0)
      libc.close(saved)
    }
  }
}

function spawn(path: string, args: readonly string[]): Finished {
  const child = spawnSync(path, [...args], { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] })
  if (child.error !== undefined && child.error !== null) {
    const code = (child.error as NodeJS.ErrnoException).code
    // The native engine has no name for "text file busy". A file that is there and may be executed fails of little else.
    const errno = code === 'EUNKNOWN' ? 'ETXTBSY' : code
    throw new SysError('start', JSON.stringify(path), errno ?? 'EIO', child.error.message)
  }
  return { status: child.status ?? 255, stdout: child.stdout }
}
