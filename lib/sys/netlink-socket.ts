/**
 * Netlink sockets: open, send, receive. What the bytes mean is lib/netlink's matter.
 *
 * @source man 7 netlink; linux/netlink.h NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK; asm/socket.h
 */
import * as libc from '#libc'
import { SysError } from './errors.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_SOCK_DIAG = 4
export const NETLINK_NETFILTER = 12
export const NETLINK_GENERIC = 16

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
/**
 * A dump comes in datagrams of at most 32 KiB (af_netlink.c netlink_recvmsg). The answer to a question about one thing is as
 * large as it has to be, but an attribute has 64 KiB at most, and no message has four that come near. What is not filled is
 * never fetched from memory, so this costs less than asking for the length first.
 */
const RECEIVE_BYTES = 262_144

/**
 * Opens a netlink socket in the namespace the process is in now; it stays in that namespace.
 *
 * It hears the kernel alone. Whoever has CAP_NET_ADMIN in a container may send to any socket of its namespace, and sees
 * their ports in /proc/net/netlink: forged answers would decide what a plugin does next, and a flood of them would drop
 * the kernel's. A connected socket takes messages from its peer only, port 0 (af_netlink.c netlink_getsockbyportid);
 * what came in before it was connected is thrown away.
 *
 * @throws {SysError} EPROTONOSUPPORT when the kernel lacks the protocol
 */
export function openNetlink(protocol: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
  if (fd < 0) throw new SysError('socket', `AF_NETLINK ${String(protocol)}`, libc.errnoName(), '')
  if (libc.connect(fd, portZero()) < 0) throw new SysError('connect', 'netlink', libc.errnoName(), '')
  discardWaiting(fd)
  // Each of these only improves the answers; an old kernel that lacks one still works.
  setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1)
  if (protocol === NETLINK_ROUTE) setOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
  // Refusals repeat the request unless told otherwise; those of the others may be long.
  else setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1)
  return fd
}

/**
 * Sets the socket's buffers; asks past the system's limit first, which root may.
 *
 * A netfilter batch is one datagram and its answers arrive at once: a large batch needs room for both.
 */
export function setNetlinkBuffers(fd: number, bytes: number): void {
  if (setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes) < 0) setOption(fd, SOL_SOCKET, SO_SNDBUF, bytes)
  if (setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) < 0) setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes)
}

/**
 * Subscribes to multicast groups; once for a socket.
 *
 * @param groups their numbers, such as RTNLGRP_LINK
 */
export function joinNetlinkGroups(fd: number, groups: readonly number[]): void {
  for (const group of groups) {
    if (setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group) < 0) {
      throw new SysError('join netlink group', String(group), libc.errnoName(), '')
    }
  }
}

/** struct sockaddr_nl with port and groups 0: the kernel */
function portZero(): Uint8Array {
  const address = new Uint8Array(12)
  address[0] = AF_NETLINK
  return address
}

/** Until nothing is left, whatever errors a full buffer left behind. Nobody can add to it any more. */
function discardWaiting(fd: number): void {
  const byte = new Uint8Array(1)
  for (;;) {
    if (libc.recv(fd, byte, MSG_DONTWAIT) >= 0) continue
    const errno = libc.errnoName()
    if (errno !== 'ENOBUFS' && errno !== 'EINTR') return
  }
}

function setOption(fd: number, level: number, name: number, value: number): number {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return libc.setsockopt(fd, level, name, bytes)
}

/**
 * Sends one datagram to the kernel.
 *
 * @throws {SysError} ENOBUFS, EMSGSIZE when it is larger than the send buffer
 */
export function sendNetlink(fd: number, bytes: Uint8Array): void {
  for (;;) {
    if (libc.send(fd, bytes, 0) >= 0) return
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('send', 'netlink', errno, '')
  }
}

let receiveBuffer = new Uint8Array(0)

/** Made with the first answer: plugins that ask the kernel nothing do without its pages. */
function roomForAnswer(): Uint8Array {
  if (receiveBuffer.length === 0) receiveBuffer = new Uint8Array(RECEIVE_BYTES)
  return receiveBuffer
}

/**
 * Receives one datagram, whole.
 *
 * @returns bytes that the next call overwrites: decode before receiving again
 * @throws {SysError} ENOBUFS when the kernel had to drop answers
 */
export function receiveNetlink(fd: number): Uint8Array {
  for (;;) {
    const received = libc.recv(fd, roomForAnswer(), MSG_TRUNC)
    if (received >= 0) return wholeDatagram(received)
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('receive', 'netlink', errno, '')
  }
}

/**
 * Receives a datagram if one has come.
 *
 * @returns bytes that the next call overwrites; undefined when there is nothing
 * @throws {SysError} ENOBUFS when the kernel had to drop events
 */
export function receiveWaiting(fd: number): Uint8Array | undefined {
  const received = libc.recv(fd, roomForAnswer(), MSG_TRUNC | MSG_DONTWAIT)
  if (received >= 0) return wholeDatagram(received)
  const errno = libc.errnoName()
  if (errno === 'EAGAIN' || errno === 'EINTR') return undefined
  throw new SysError('receive', 'netlink', errno, '')
}

/** @param length of the datagram; what did not fit is lost */
function wholeDatagram(length: number): Uint8Array {
  if (length <= receiveBuffer.length) return receiveBuffer.subarray(0, length)
  throw new SysError('receive', 'netlink', 'EMSGSIZE', `a datagram of ${String(length)} bytes`)
}

/** Closes the socket. A netfilter socket's close waits for the kernel's pending deletions. */
export function closeNetlink(fd: number): void {
  libc.close(fd)
}
