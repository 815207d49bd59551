/**
 * Network namespaces as file descriptors.
 *
 * A process is in one namespace; the ones of containers are visited for an instant, to open a socket or a
 * file there, and left again. Everything is synchronous, so nothing else of this process runs while it is away.
 *
 * @source man 2 setns, man 7 network_namespaces; linux/magic.h NSFS_MAGIC, PROC_SUPER_MAGIC
 */
import { closeSync, fstatSync } from 'node:fs'
import * as libc from '#libc'
import { SysError } from './errors.ts'

const CLONE_NEWNET = 0x40000000
const NSFS_MAGIC = 0x6e736673
/** linux/nsfs.h NS_GET_NSTYPE: which kind of namespace it is, as its CLONE_ flag (since Linux 4.11). */
const NS_GET_NSTYPE = 0xb703

/** Why a path did not open as a network namespace. */
export type NetnsReason = 'absent' | 'not-a-namespace' | 'unreadable'

export class NetnsError extends Error {
  readonly reason: NetnsReason
  readonly path: string
  /** In words; of `unreadable` the symbol of errno. */
  readonly explanation: string

  constructor(path: string, reason: NetnsReason, explanation: string) {
    super(`open network namespace ${JSON.stringify(path)}: ${explanation}`)
    this.name = 'NetnsError'
    this.path = path
    this.reason = reason
    this.explanation = explanation
  }
}

/**
 * Opens a network namespace by its path, such as `/run/netns/blue` or `/proc/4711/ns/net`.
 *
 * @returns a file descriptor, close-on-exec, for the caller to close
 * @throws {NetnsError} `absent` when nothing is there, `not-a-namespace` when something else is
 */
export function openNetns(path: string): number {
  const fd = openPath(path)
  const problem = whyNotNetns(fd)
  if (problem !== '') {
    closeSync(fd)
    throw new NetnsError(path, 'not-a-namespace', problem)
  }
  return fd
}

function openPath(path: string): number {
  // It does not block: a path that is really a FIFO would otherwise wait for a writer for ever.
  const fd = libc.openToRead(path)
  if (fd >= 0) return fd
  const errno = libc.errnoName()
  // ENXIO: a socket, or a device that is not there.
  if (errno === 'ENXIO') throw new NetnsError(path, 'not-a-namespace', NOT_A_NAMESPACE)
  const absent = errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ENAMETOOLONG' || errno === 'ESRCH'
  throw new NetnsError(path, absent ? 'absent' : 'unreadable', absent ? 'no such file' : errno)
}

const NOT_A_NAMESPACE = 'not a namespace file'

/**
 * A namespace is a file of nsfs, which says of what kind it is. Once `ip netns del` or a crash has unmounted it, the same path
 * is an ordinary empty file.
 */
function whyNotNetns(fd: number): string {
  const kind = libc.ioctlNumber(fd, NS_GET_NSTYPE, 0)
  if (kind === CLONE_NEWNET) return ''
  const statfs = new Uint8Array(120)
  if (libc.fstatfs(fd, statfs) < 0) return libc.errnoName()
  const type = new DataView(statfs.buffer).getUint32(0, true)
  if (type !== NSFS_MAGIC) return NOT_A_NAMESPACE
  return kind > 0 ? 'a namespace, but not a network namespace' : ''
}

let own = -1

/** The namespace this process was started in: one descriptor, opened once and never closed. */
export function ownNetns(): number {
  if (own < 0) own = openNetns('/proc/self/ns/net')
  return own
}

/** Whether two descriptors name the same namespace. */
export function sameNetns(a: number, b: number): boolean {
  return netnsInode(a) === netnsInode(b)
}

/**
 * The number that the kernel knows the namespace by, of its device and inode. Once a namespace is gone, another one may
 * get the same.
 */
export function netnsInode(fd: number): string {
  const status = fstatSync(fd)
  return `${String(status.dev)}:${String(status.ino)}`
}

/** The inode number that all descriptors of a namespace have in common. */
export function netnsNumber(fd: number): number {
  return fstatSync(fd).ino
}

/** Whether this thread is in another namespace than its own: during a visit, and after one whose way back failed. */
let isAway = false

/**
 * Runs `work` inside the namespace and comes back.
 *
 * Sequence prevented: the way back fails; an ADD undoes itself, and what it removes from the host it removes from the
 * container. So whoever means the own namespace (this function, and what starts programs) goes there first, and does nothing
 * when that fails again. Sockets that are open already stay where they were opened.
 *
 * @throws {NetnsError} `not-a-namespace` when the descriptor is a namespace of another kind
 * @throws {SysError} EPERM without CAP_SYS_ADMIN; whatever kept it from coming back
 */
export function inNamespace<T>(fd: number, work: () => T): T {
  comeHome()
  if (fd === ownNetns()) return work()
  if (libc.setns(fd, CLONE_NEWNET) < 0) {
    const errno = libc.errnoName()
    if (errno === 'EINVAL') throw new NetnsError(`fd ${String(fd)}`, 'not-a-namespace', 'not a network namespace')
    throw new SysError('setns', 'network namespace', errno, '')
  }
  isAway = true
  try {
    return work()
  } finally {
    comeHome()
  }
}

/**
 * Returns to the own namespace, if a visit has ended elsewhere.
 *
 * @throws {SysError} when the kernel refuses
 */
export function comeHome(): void {
  if (!isAway) return
  if (libc.setns(ownNetns(), CLONE_NEWNET) < 0) {
    throw new SysError('return to', 'the own network namespace', libc.errnoName(), '')
  }
  isAway = false
}

/**
 * Makes a network namespace and stays where it was. It lives as long as somebody holds the descriptor.
 *
 * @returns a file descriptor; other processes open it as `/proc/<pid>/fd/<fd>`
 * @throws {SysError} EPERM without CAP_SYS_ADMIN
 */
export function newNetns(): number {
  const home = ownNetns()
  unshareNetns()
  const made = openNetns('/proc/thread-self/ns/net')
  if (libc.setns(home, CLONE_NEWNET) < 0) throw new SysError('setns', 'network namespace', libc.errnoName(), '')
  return made
}

/**
 * Leaves the network namespace for a new one, for good: this thread and every program it starts from now on.
 *
 * @throws {SysError} EPERM without CAP_SYS_ADMIN
 */
export function unshareNetns(): void {
  if (libc.unshare(CLONE_NEWNET) < 0) throw new SysError('unshare', 'network namespace', libc.errnoName(), '')
}
