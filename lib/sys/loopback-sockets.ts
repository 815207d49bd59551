/** Sockets for a service on an address of the loopback, made in whatever namespace the process is in now. */
import * as libc from '#libc'
import { SysError } from './errors.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_IP = 0
/** linux/in.h: bind to an address that is not there yet, since `lo` may still be down. */
const IP_FREEBIND = 15
const SOL_SOCKET = 1
/** asm-generic/socket.h: a listening socket's former connections must not keep its port. */
const SO_REUSEADDR = 2

/**
 * A socket bound to an IPv4 address, for an event loop to take over.
 *
 * @param port 0 = the kernel chooses
 * @returns its descriptor, non-blocking and close-on-exec
 * @throws {SysError} EADDRINUSE when somebody has the port
 * @source man 7 ip
 */
export function bindLoopback(kind: 'udp' | 'tcp', address: Uint8Array, port: number): number {
  const type = kind === 'udp' ? SOCK_DGRAM : SOCK_STREAM
  const fd = libc.socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('socket', kind, libc.errnoName(), '')
  const one = new Uint8Array([1, 0, 0, 0])
  libc.setsockopt(fd, SOL_IP, IP_FREEBIND, one)
  if (kind === 'tcp') libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one)
  // struct sockaddr_in: family in the machine's byte order, port in the network's
  const place = new Uint8Array(16)
  const view = new DataView(place.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  place.set(address, 4)
  if (libc.bind(fd, place) >= 0) return fd
  const errno = libc.errnoName()
  libc.close(fd)
  throw new SysError('bind', `${kind} port ${String(port)}`, errno, '')
}
