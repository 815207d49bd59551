/**
 * Network namespaces that outlive the process that made them: mounted on a file, as `ip netns add` does it. For the agent,
 * whose engine is Node.
 *
 * @source man 2 mount, man 7 mount_namespaces, man 8 ip-netns
 */
import { dlopen } from 'node:ffi'
import { closeSync, openSync, readlinkSync, unlinkSync } from 'node:fs'
import * as libc from '#libc'
import { errnoOf, SysError } from './errors.ts'
import { fileError } from './files.ts'
import { NetnsError, openNetns, sameNetns } from './netns.ts'
import { inViewOf } from './sandbox.ts'

const { functions: c } = dlopen('libc.so.6', {
  mount: { arguments: ['buffer', 'buffer', 'buffer', 'u64', 'buffer'], return: 'i32' },
  umount2: { arguments: ['buffer', 'i32'], return: 'i32' }
})

const MS_BIND = 0x1000n
const MNT_DETACH = 2

/**
 * Mounts the namespace on `path`, in a directory that is there.
 *
 * A service of systemd has mounts of its own as soon as one of its protections needs them. They end with the service, and no
 * plugin sees them, so the mount is made among those of the first process, where that is allowed and is the same place.
 *
 * @param fd of the namespace
 * @throws {SysError} EPERM without CAP_SYS_ADMIN
 */
export function pinNetns(fd: number, path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch (error) {
    throw fileError('create', path, error)
  }
  const bind = (): void => {
    if (c.mount(text(`/proc/self/fd/${fd}`), text(path), text(''), MS_BIND, text('')) < 0) {
      throw new SysError('mount network namespace on', JSON.stringify(path), libc.errnoName(), '')
    }
  }
  if (!hasMountsOfItsOwn()) bind()
  else if (!(succeeds(() => inViewOf(1, bind)) && isPinned(fd, path))) bind()
}

/** Takes it away; the namespace goes with the last who holds it. */
export function unpinNetns(path: string): void {
  // Not mounted: nothing to do.
  const unbind = (): number => c.umount2(text(path), MNT_DETACH)
  unbind()
  if (hasMountsOfItsOwn()) succeeds(() => inViewOf(1, unbind))
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileError('remove', path, error)
  }
}

function isPinned(fd: number, path: string): boolean {
  try {
    const there = openNetns(path)
    const isSame = sameNetns(there, fd)
    closeSync(there)
    return isSame
  } catch (error) {
    if (error instanceof NetnsError) return false
    throw error
  }
}

/** Whoever may not look at the first process may not mount there either. */
function hasMountsOfItsOwn(): boolean {
  try {
    return readlinkSync('/proc/self/ns/mnt') !== readlinkSync('/proc/1/ns/mnt')
  } catch {
    return false
  }
}

function succeeds(work: () => void): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`)
}
