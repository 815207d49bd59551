/**
 * Packets whose IP header is the program's own, sent as if a program of the namespace had: they are routed, pass the packet
 * filter's output and the neighbour table.
 *
 * @source man 7 raw, man 7 ipv6; linux/in6.h IPV6_HDRINCL
 */
import * as libc from '#libc'
import { SysError } from './errors.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_RAW = 255
const SOL_IP = 0
const IP_HDRINCL = 3
const SOL_IPV6 = 41
const IPV6_HDRINCL = 36
const MSG_DONTWAIT = 0x40
const ADDRESS_AT = { 4: 4, 6: 8 } as const

/**
 * Sends one packet from the namespace the process is in now.
 *
 * @param scope of an IPv6 link-local destination: the index of the interface; else 0
 * @throws {SysError} ENETUNREACH, EHOSTUNREACH without a way; EPERM when the packet filter drops it; EMSGSIZE
 */
export function sendRawPacket(destination: Uint8Array, packet: Uint8Array, scope = 0): void {
  const family = destination.length === 4 ? 4 : 6
  const domain = family === 4 ? AF_INET : AF_INET6
  const fd = libc.socket(domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)
  if (fd < 0) throw new SysError('socket', 'raw IP', libc.errnoName(), '')
  try {
    const one = new Uint8Array([1, 0, 0, 0])
    if (family === 4) libc.setsockopt(fd, SOL_IP, IP_HDRINCL, one)
    else libc.setsockopt(fd, SOL_IPV6, IPV6_HDRINCL, one)
    const address = new Uint8Array(family === 4 ? 16 : 28)
    const view = new DataView(address.buffer)
    view.setUint16(0, domain, true)
    if (family === 6) view.setUint32(24, scope, true)
    address.set(destination, ADDRESS_AT[family])
    if (libc.connect(fd, address) < 0) throw new SysError('connect', 'raw IP', libc.errnoName(), '')
    if (libc.send(fd, packet, MSG_DONTWAIT) < 0) throw new SysError('send', 'raw IP', libc.errnoName(), '')
  } finally {
    libc.close(fd)
  }
}
