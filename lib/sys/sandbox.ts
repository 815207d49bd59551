/**
 * Starting a program in namespaces of its own, and in those of another process: for the command, whose engine is Node. The calling
 * thread enters, starts the program and comes back; everything is synchronous, so nothing else of this process runs meanwhile.
 *
 * @source man 2 unshare, man 2 setns, man 2 mount, man 7 mount_namespaces
 */

import { dlopen } from 'node:ffi'
import { closeSync, openSync } from 'node:fs'
import * as libc from '#libc'
import { SysError } from './errors.ts'

const { functions: c } = dlopen('libc.so.6', {
  mount: { arguments: ['buffer', 'buffer', 'buffer', 'u64', 'buffer'], return: 'i32' },
  sethostname: { arguments: ['buffer', 'u64'], return: 'i32' }
})

const CLONE_FS = 0x00000200
const CLONE_NEWNS = 0x00020000
const CLONE_NEWUTS = 0x04000000
const MS_BIND = 0x1000n
const MS_REC = 0x4000n
const MS_PRIVATE = 0x40000n

/** The host's own namespaces of these kinds, to come back to. */
const KINDS = [
  ['mnt', CLONE_NEWNS],
  ['uts', CLONE_NEWUTS]
] as const

export interface OwnView {
  /** '' leaves the host's. */
  readonly hostname: string
  /** Each file is seen in the place of another, which must be there. */
  readonly files: readonly { readonly source: string; readonly target: string }[]
}

/** Runs `work` with a host name and files that only it, and what it starts, can see. @throws {SysError} EPERM without rights */
export function withOwnView<T>(view: OwnView, work: () => T): T {
  return comingBack(() => {
    check('unshare', 'mounts and host name', libc.unshare(CLONE_NEWNS | CLONE_NEWUTS))
    check('mount', '"/" as private', c.mount(text('none'), text('/'), text(''), MS_REC | MS_PRIVATE, text('')))
    for (const { source, target } of view.files) {
      check('mount', JSON.stringify(target), c.mount(text(source), text(target), text(''), MS_BIND, text('')))
    }
    const name = new TextEncoder().encode(view.hostname)
    if (name.length > 0) check('set', 'host name', c.sethostname(name, BigInt(name.length)))
    return work()
  })
}

/** Runs `work` among the mounts and under the host name of another process. @throws {SysError} ENOENT when it has ended */
export function inViewOf<T>(pid: number, work: () => T): T {
  return comingBack(() => {
    for (const [name, kind] of KINDS) enter(`/proc/${String(pid)}/ns/${name}`, kind)
    return work()
  })
}

function comingBack<T>(work: () => T): T {
  const directory = process.cwd()
  // Root and working directory are shared with the other threads: the kernel lets nobody enter other mounts who shares them.
  check('unshare', 'the working directory', libc.unshare(CLONE_FS))
  const home = KINDS.map(([name, kind]) => ({ kind, fd: openSync(`/proc/thread-self/ns/${name}`, 'r') }))
  try {
    return work()
  } finally {
    for (const { kind, fd } of home) {
      check('return to', 'the own namespaces', libc.setns(fd, kind))
      closeSync(fd)
    }
    process.chdir(directory)
  }
}

function enter(path: string, kind: number): void {
  const fd = openSync(path, 'r')
  try {
    check('setns', JSON.stringify(path), libc.setns(fd, kind))
  } finally {
    closeSync(fd)
  }
}

function check(operation: string, object: string, result: number): void {
  if (result < 0) throw new SysError(operation, object, libc.errnoName(), '')
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`)
}
