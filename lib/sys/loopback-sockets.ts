/** Sockets for a service on an address of the loopback, made in whatever namespace the process is in now. */
import * as libc from '#libc'
import { SysError } from './errors.ts'
import { inNamespace } from './netns.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** linux/sockios.h */
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
/** net/if.h */
const IFF_UP = 1
/** struct ifreq: a name, and flags behind it. */
const IFREQ_SIZE = 40
const IFNAMSIZ = 16
const SOL_SOCKET = 1
/** Connections that wait to be taken, as Node has it. */
const BACKLOG = 511
/** asm-generic/socket.h: a listening socket's former connections must not keep its port. */
const SO_REUSEADDR = 2

/**
 * A socket bound to an IPv4 address, for an event loop to take over.
 *
 * @param port 0 = the kernel chooses
 * @returns its descriptor, non-blocking and close-on-exec
 * @throws {SysError} EADDRINUSE when somebody has the port, EADDRNOTAVAIL while `lo` is down
 * @source man 7 ip
 */
function bindLoopback(kind: 'udp' | 'tcp', address: Uint8Array, port: number): number {
  const type = kind === 'udp' ? SOCK_DGRAM : SOCK_STREAM
  const fd = libc.socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('socket', kind, libc.errnoName(), '')
  // The kernel lets a socket have any address of a namespace that has never had one.
  if (!isLoopbackUp(fd)) {
    libc.close(fd)
    throw new SysError('bind', `${kind} port ${String(port)}`, 'EADDRNOTAVAIL', 'its lo is down')
  }
  const one = new Uint8Array([1, 0, 0, 0])
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

/** The descriptors of two sockets. */
export interface SocketPair {
  readonly udp: number
  readonly tcp: number
}

/**
 * Both kinds at one address, in another namespace, by one visit; they stay there when the process has come back.
 *
 * @param ports of each kind; 0 = the kernel chooses
 * @throws {SysError} as bindLoopback
 */
export function bindPairIn(namespaceFd: number, address: Uint8Array, ports: SocketPair): SocketPair {
  return inNamespace(namespaceFd, () => {
    const udp = bindLoopback('udp', address, ports.udp)
    try {
      return { udp, tcp: bindLoopback('tcp', address, ports.tcp) }
    } catch (error) {
      libc.close(udp)
      throw error
    }
  })
}

export function closePair({ udp, tcp }: SocketPair): void {
  libc.close(udp)
  libc.close(tcp)
}

/** @throws {SysError} EADDRINUSE when somebody listens there since */
export function listenOn(fd: number): void {
  if (libc.listen(fd, BACKLOG) < 0) throw new SysError('listen', 'tcp', libc.errnoName(), '')
}

/** Asked of a socket that is there anyway. @source man 7 netdevice */
function isLoopbackUp(fd: number): boolean {
  const request = requestAboutLoopback()
  if (libc.ioctl(fd, SIOCGIFFLAGS, request) < 0) return false
  return (flagsIn(request) & IFF_UP) !== 0
}

/**
 * Sets `lo` of the namespace that the process is in up. An ioctl takes a hundredth of what rtnetlink does, which tells all of a
 * link before its flags can be changed.
 *
 * @returns whether it was down
 * @throws {SysError} when the kernel refuses
 * @source man 7 netdevice
 */
export function raiseLoopback(): boolean {
  const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('socket', 'udp', libc.errnoName(), '')
  const request = requestAboutLoopback()
  const isUp = libc.ioctl(fd, SIOCGIFFLAGS, request) >= 0 && (flagsIn(request) & IFF_UP) !== 0
  new DataView(request.buffer).setUint16(IFNAMSIZ, flagsIn(request) | IFF_UP, true)
  const errno = isUp || libc.ioctl(fd, SIOCSIFFLAGS, request) >= 0 ? '' : libc.errnoName()
  libc.close(fd)
  if (errno !== '') throw new SysError('set link', '"lo" up', errno, '')
  return !isUp
}

function requestAboutLoopback(): Uint8Array {
  const request = new Uint8Array(IFREQ_SIZE)
  request.set(new TextEncoder().encode('lo'))
  return request
}

function flagsIn(request: Uint8Array): number {
  return new DataView(request.buffer).getUint16(IFNAMSIZ, true)
}
