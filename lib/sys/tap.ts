/**
 * Tap interfaces, which are made by opening a device and not by netlink.
 *
 * @source linux/if_tun.h TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP; linux/if.h struct ifreq
 */
import { constants, openSync } from 'node:fs'
import * as libc from '#libc'
import { SysError } from './errors.ts'

const TUNSETIFF = 0x400454ca
const TUNSETPERSIST = 0x400454cb
const TUNSETOWNER = 0x400454cc
const TUNSETGROUP = 0x400454ce
const IFF_TAP = 0x0002
const IFF_MULTI_QUEUE = 0x0100
const IFF_NO_PI = 0x1000
const IFF_TUN_EXCL = 0x8000
const IFREQ_BYTES = 40
const IFNAMSIZ = 16

/**
 * Makes a tap interface in the namespace the process is in; it stays when the file is closed.
 *
 * @param name at most 15 bytes of UTF-8
 * @param owner user id, group likewise; -1 = none
 * @throws {SysError} EBUSY when an interface has the name, ENOENT without /dev/net/tun
 */
export function createTap(name: string, owner: number, group: number, multiQueue: boolean): void {
  const fd = openTun(name)
  try {
    attach(fd, name, multiQueue ? IFF_MULTI_QUEUE : 0)
    if (owner >= 0) check(name, libc.ioctlNumber(fd, TUNSETOWNER, owner))
    if (group >= 0) check(name, libc.ioctlNumber(fd, TUNSETGROUP, group))
    // Last: until here closing the file removes the interface again, so a failure leaves nothing.
    check(name, libc.ioctlNumber(fd, TUNSETPERSIST, 1))
  } finally {
    libc.close(fd)
  }
}

/**
 * Makes a tap interface that is gone when the file is closed, in whatever way the process ends. What is written to the file is
 * a frame that the interface receives.
 *
 * @param name at most 15 bytes of UTF-8
 * @returns the file, for the caller to close
 * @throws {SysError} as createTap
 */
export function openTap(name: string): number {
  const fd = openTun(name)
  try {
    attach(fd, name, 0)
  } catch (error) {
    libc.close(fd)
    throw error
  }
  return fd
}

function attach(fd: number, name: string, flags: number): void {
  const request = new Uint8Array(IFREQ_BYTES)
  request.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1))
  new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | flags, true)
  check(name, libc.ioctl(fd, TUNSETIFF, request))
}

function openTun(name: string): number {
  try {
    return openSync('/dev/net/tun', constants.O_RDWR)
  } catch (error) {
    const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
    throw new SysError('add tap', JSON.stringify(name), code ?? 'EIO', 'opening /dev/net/tun')
  }
}

function check(name: string, result: number): void {
  if (result < 0) throw new SysError('add tap', JSON.stringify(name), libc.errnoName(), '')
}
