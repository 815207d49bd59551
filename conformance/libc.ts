/**
 * The few calls of the C library that a judge needs for itself: switching namespaces without a helper process, and
 * starting a program so cheaply that its own time can be told from ours. Deliberately not shared with lib/sys: what is
 * judged and what judges have no code in common.
 */
import { dlopen, getInt32, getRawPointer } from 'node:ffi'
import { getSystemErrorMap } from 'node:util'

const { functions: c } = dlopen('libc.so.6', {
  unshare: { arguments: ['i32'], return: 'i32' },
  setns: { arguments: ['i32', 'i32'], return: 'i32' },
  mount: { arguments: ['string', 'string', 'string', 'u64', 'string'], return: 'i32' },
  umount2: { arguments: ['string', 'i32'], return: 'i32' },
  lseek: { arguments: ['i32', 'i64', 'i32'], return: 'i64' },
  posix_spawn: { arguments: ['buffer', 'string', 'buffer', 'buffer', 'buffer', 'buffer'], return: 'i32' },
  posix_spawn_file_actions_init: { arguments: ['buffer'], return: 'i32' },
  posix_spawn_file_actions_adddup2: { arguments: ['buffer', 'i32', 'i32'], return: 'i32' },
  posix_spawn_file_actions_destroy: { arguments: ['buffer'], return: 'i32' },
  posix_spawnattr_init: { arguments: ['buffer'], return: 'i32' },
  posix_spawnattr_setflags: { arguments: ['buffer', 'i16'], return: 'i32' },
  posix_spawnattr_setsigdefault: { arguments: ['buffer', 'buffer'], return: 'i32' },
  sigfillset: { arguments: ['buffer'], return: 'i32' },
  sigemptyset: { arguments: ['buffer'], return: 'i32' },
  posix_spawnattr_setsigmask: { arguments: ['buffer', 'buffer'], return: 'i32' },
  waitpid: { arguments: ['i32', 'buffer', 'i32'], return: 'i32' },
  syscall: { arguments: ['i64', 'i64', 'i64'], return: 'i64' },
  poll: { arguments: ['buffer', 'u64', 'i32'], return: 'i32' },
  pipe2: { arguments: ['buffer', 'i32'], return: 'i32' },
  kill: { arguments: ['i32', 'i32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  ptrace: { arguments: ['i64', 'i64', 'u64', 'u64'], return: 'i64' },
  __errno_location: { arguments: [], return: 'pointer' }
})

function check(result: number, operation: string): number {
  if (result >= 0) return result
  const errno = getInt32(c.__errno_location())
  throw new Error(`${operation}: ${getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`}`)
}

export const CLONE_NEWNET = 0x40000000
export const MS_RDONLY = 1
export const MS_REMOUNT = 32
export const MS_BIND = 4096
const MNT_DETACH = 2

/** Gives this thread fresh namespaces. */
export function unshare(flags: number): void {
  check(c.unshare(flags), 'unshare')
}

/** Moves this thread into the network namespace behind an open descriptor; later child processes inherit it. */
export function enterNetns(fd: number): void {
  check(c.setns(fd, CLONE_NEWNET), 'setns')
}

export interface MountOptions {
  readonly source?: string
  readonly flags?: number
  readonly data?: string
}

export function mount(type: string, target: string, options: MountOptions = {}): void {
  const { source = type, flags = 0, data = '' } = options
  check(c.mount(source, target, type, BigInt(flags), data), `mount ${type} on ${target}`)
}

export function unmount(target: string): void {
  check(c.umount2(target, MNT_DETACH), `umount ${target}`)
}

/** Sets a descriptor back to the file's first byte. */
export function rewind(fd: number): void {
  check(Number(c.lseek(fd, 0n, 0)), 'lseek')
}

/** The addresses of NUL-terminated texts in a NULL-terminated array, as argv and envp are. */
function pointerArray(texts: readonly string[]): { readonly array: BigUint64Array; readonly keep: readonly Buffer[] } {
  const keep = texts.map(text => Buffer.from(`${text}\0`))
  const array = new BigUint64Array(texts.length + 1)
  keep.forEach((text, index) => {
    array[index] = getRawPointer(text)
  })
  return { array, keep }
}

const POSIX_SPAWN_SETSIGMASK = 0x08
const POSIX_SPAWN_SETSIGDEF = 0x04

// Node ignores SIGPIPE; a plugin must start with every signal as the system has it.
const spawnAttributes = new Uint8Array(512)
c.posix_spawnattr_init(spawnAttributes)
const allSignals = new Uint8Array(128)
c.sigfillset(allSignals)
c.posix_spawnattr_setsigdefault(spawnAttributes, allSignals)
const noSignals = new Uint8Array(128)
c.sigemptyset(noSignals)
c.posix_spawnattr_setsigmask(spawnAttributes, noSignals)
c.posix_spawnattr_setflags(spawnAttributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)

/** A program made ready to start, so that starting costs one call. */
export interface Prepared {
  readonly path: string
  readonly argv: BigUint64Array
  readonly envp: BigUint64Array
  readonly actions: Uint8Array
  /** What the pointers point to: must live as long as they. */
  readonly keep: readonly unknown[]
}

/** @param stdio descriptors that become 0, 1 and 2 of the program */
export function prepare(
  path: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  stdio: readonly [number, number, number]
): Prepared {
  const argv = pointerArray([path, ...args])
  const envp = pointerArray(Object.entries(env).map(([name, value]) => `${name}=${value}`))
  const actions = new Uint8Array(256)
  c.posix_spawn_file_actions_init(actions)
  stdio.forEach((fd, target) => {
    c.posix_spawn_file_actions_adddup2(actions, fd, target)
  })
  return { path, argv: argv.array, envp: envp.array, actions, keep: [argv, envp] }
}

/**
 * Starts the program (vfork semantics: nothing of this large process is copied).
 * @returns its process id
 */
export function spawn(program: Prepared): number {
  const pid = new Int32Array(1)
  const errno = c.posix_spawn(pid, program.path, program.actions, spawnAttributes, program.argv, program.envp)
  if (errno !== 0) throw new Error(`run ${program.path}: ${getSystemErrorMap().get(-errno)?.[0] ?? errno}`)
  return pid[0] ?? 0
}

/** Waits for a child. @returns the raw wait status */
export function wait(pid: number, flags = 0): number {
  const status = new Int32Array(1)
  check(c.waitpid(pid, status, flags), 'waitpid')
  return status[0] ?? 0
}

/** By number, the same on every processor: the C library has a name for it only since 2.36. */
const SYS_PIDFD_OPEN = 434n
const POLLIN = 1

/**
 * Waits for a child, but not for ever.
 * @returns the raw wait status, undefined when it is still running after so many milliseconds
 */
export function waitAtMost(pid: number, milliseconds: number): number | undefined {
  const fd = Number(c.syscall(SYS_PIDFD_OPEN, BigInt(pid), 0n))
  // A kernel before 5.3: then only without a bound.
  if (fd < 0) return wait(pid)
  const events = Int32Array.of(fd, POLLIN)
  const ready = c.poll(events, 1n, milliseconds)
  const status = ready === 0 ? undefined : wait(pid)
  c.close(fd)
  return status
}

const O_CLOEXEC = 0o2000000

/** The two ends of a pipe, to read from and to write to; a program that is started inherits neither. */
export function pipe(): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(2)
  check(c.pipe2(ends, O_CLOEXEC), 'pipe2')
  return { read: ends[0] ?? -1, write: ends[1] ?? -1 }
}

/** A descriptor that is readable when the process has ended; negative on a kernel before 5.3. */
export function pidfd(pid: number): number {
  return Number(c.syscall(SYS_PIDFD_OPEN, BigInt(pid), 0n))
}

export function closeFd(fd: number): void {
  c.close(fd)
}

export function kill(pid: number, signal: number): void {
  c.kill(pid, signal)
}

const POLLOUT = 4

/**
 * Waits until a descriptor can be read or written, its other end is closed, or the time is over.
 * @param wanted negative descriptors are passed over
 * @returns for each whether there is something to do
 */
export function pollFds(
  wanted: readonly { readonly fd: number; readonly write?: boolean }[],
  milliseconds: number
): readonly boolean[] {
  const events = Int32Array.from(wanted.flatMap(({ fd, write }) => [fd, write === true ? POLLOUT : POLLIN]))
  c.poll(events, BigInt(wanted.length), milliseconds)
  // The kernel answers in the upper half of the second word.
  return wanted.map((_one, index) => ((events[2 * index + 1] ?? 0) & ~0xffff) !== 0)
}

const PTRACE_CONT = 7n
const PTRACE_SEIZE = 0x4206n
const PTRACE_O_TRACEEXIT = 0x40n

/** Attaches to a child so that it stops for us just before it ends. */
export function seizeAtExit(pid: number): void {
  check(Number(c.ptrace(PTRACE_SEIZE, BigInt(pid), 0n, PTRACE_O_TRACEEXIT)), 'ptrace')
}

export function continueTraced(pid: number, signal: number): void {
  check(Number(c.ptrace(PTRACE_CONT, BigInt(pid), 0n, BigInt(signal))), 'ptrace')
}

export const WALL = 0x40000000
