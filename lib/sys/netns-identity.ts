/**
 * Which network namespace it is. A path says little: `/proc/4711/ns/net` belongs to whoever has the number now, a name under
 * /run/netns may have been made anew, and inode numbers of namespaces are used again. The kernel's cookie of a namespace
 * is given once until the next boot.
 *
 * @source linux/socket.h SO_NETNS_COOKIE (Linux 5.14); net/core/net_namespace.c preinit_net
 */

import { dlopen } from 'node:ffi'
import { closeSync, fstatSync } from 'node:fs'
import * as libc from '#libc'
import { inNamespace, openNetns } from './netns.ts'

const { functions: c } = dlopen('libc.so.6', {
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' }
})

const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const SOL_SOCKET = 1
const SO_NETNS_COOKIE = 71

/**
 * @returns `<inode>-<cookie>`; the inode alone where the kernel has no cookies
 * @throws {NetnsError} when the path does not lead to a network namespace
 * @throws {SysError} EPERM without CAP_SYS_ADMIN
 */
export function netnsIdentity(path: string): string {
  const fd = openNetns(path)
  try {
    const inode = String(fstatSync(fd).ino)
    const cookie = inNamespace(fd, cookieHere)
    return cookie === undefined ? inode : `${inode}-${String(cookie)}`
  } finally {
    closeSync(fd)
  }
}

/** The inode's number in an identity. */
export function inodeOf(identity: string): string {
  return identity.split('-')[0] ?? ''
}

function cookieHere(): bigint | undefined {
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  if (socket < 0) return undefined
  const value = new DataView(new ArrayBuffer(8))
  const length = new DataView(new ArrayBuffer(4))
  length.setUint32(0, 8, true)
  const failed =
    c.getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, new Uint8Array(value.buffer), new Uint8Array(length.buffer)) < 0
  libc.close(socket)
  return failed ? undefined : value.getBigUint64(0, true)
}
