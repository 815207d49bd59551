/**
 * Packet sockets: whole Ethernet frames on one interface, which needs no address for it. For daemons only: the
 * filter is handed over as a pointer, which the Node engine alone can make.
 *
 * @source man 7 packet; linux/filter.h struct sock_filter, struct sock_fprog; linux/if_packet.h struct sockaddr_ll
 */
import { getRawPointer } from 'node:ffi'
import * as libc from '#libc'
import { SysError } from './errors.ts'
import {
  type Filter,
  JUMP_IF_ANY,
  JUMP_IF_EQUAL,
  JUMP_IF_EQUALS_INDEX,
  LOAD_BYTE,
  LOAD_HALF,
  LOAD_HALF_BEHIND_HEADER,
  LOAD_HEADER_LENGTH,
  LOAD_WORD,
  programOf,
  RETURN,
  TO_INDEX
} from './packet-filter.ts'

const AF_INET = 2
const AF_INET6 = 10
const AF_PACKET = 17
const SOCK_DGRAM = 2
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_ATTACH_FILTER = 26
const ETH_P_ALL = 0x0003
const ETH_P_IP = 0x0800
const ETH_P_ARP = 0x0806
const ETH_P_IPV6 = 0x86dd
const MSG_DONTWAIT = 0x40
const LARGEST_FRAME = 65_536

/**
 * Opens a socket in the namespace the process is in now, for IPv4 datagrams to one UDP port that come in over one
 * interface; everything else the kernel drops before it costs anything.
 *
 * @param index of the interface
 * @throws {SysError} EPERM without CAP_NET_RAW, ENODEV when the interface is gone
 */
export function openPacketSocket(index: number, port: number): number {
  return openFilteredSocket(SOCK_RAW, index, ETH_P_IP, filterFor(port))
}

/**
 * The same for IPv6. Datagrams behind extension headers are left out: servers send none.
 *
 * @throws {SysError} as openPacketSocket
 */
export function openIpv6PacketSocket(index: number, port: number): number {
  return openFilteredSocket(SOCK_RAW, index, ETH_P_IPV6, ipv6FilterFor(port))
}

/**
 * The same for what tells who has an address: ARP, neighbour solicitations and advertisements. It can send any frame.
 *
 * @throws {SysError} as openPacketSocket
 */
export function openNeighbourSocket(index: number): number {
  return openFilteredSocket(SOCK_RAW, index, ETH_P_ALL, NEIGHBOURS)
}

/**
 * The same for announcements of addresses: gratuitous ARP, and neighbour advertisements that nobody asked for. It can send
 * any frame.
 *
 * @throws {SysError} as openPacketSocket
 */
export function openAnnouncementSocket(index: number): number {
  return openFilteredSocket(SOCK_RAW, index, ETH_P_ALL, ANNOUNCEMENTS)
}

/**
 * Opens a packet socket that hears what the filter lets through and nothing else, not even before it is in place.
 *
 * @param type SOCK_RAW: whole frames; SOCK_DGRAM: from the IP header on
 * @param index of the interface; 0 for all of the namespace the process is in now
 * @param protocol ETH_P_*
 * @throws {SysError} EPERM without CAP_NET_RAW, ENODEV when the interface is gone
 */
export function openFilteredSocket(type: number, index: number, protocol: number, lines: Filter): number {
  // Protocol 0: nothing arrives.
  const fd = libc.socket(AF_PACKET, type | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('socket', 'AF_PACKET', libc.errnoName(), '')
  const program = programOf(lines)
  const description = new Uint8Array(16)
  const view = new DataView(description.buffer)
  view.setUint16(0, program.length / 8, true)
  view.setBigUint64(8, BigInt(getRawPointer(program)), true)
  const attached = libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, description)
  if (attached < 0 || libc.bind(fd, linkAddress(index, protocol)) < 0) {
    const errno = libc.errnoName()
    libc.close(fd)
    const object = index === 0 ? 'packet socket' : `packet socket on interface ${index}`
    throw new SysError(attached < 0 ? 'attach filter to' : 'bind', object, errno, '')
  }
  return fd
}

/** ARP whose sender and target are one address; ICMPv6 of type 136 to a multicast address. */
const ANNOUNCEMENTS: Filter = [
  [LOAD_HALF, 0, 0, 12],
  [JUMP_IF_EQUAL, 0, 4, ETH_P_ARP],
  [LOAD_WORD, 0, 0, 28],
  [TO_INDEX, 0, 0, 0],
  [LOAD_WORD, 0, 0, 38],
  [JUMP_IF_EQUALS_INDEX, 7, 8, 0],
  [JUMP_IF_EQUAL, 0, 7, ETH_P_IPV6],
  [LOAD_BYTE, 0, 0, 20],
  [JUMP_IF_EQUAL, 0, 5, 58],
  [LOAD_BYTE, 0, 0, 54],
  [JUMP_IF_EQUAL, 0, 3, 136],
  [LOAD_BYTE, 0, 0, 38],
  [JUMP_IF_EQUAL, 0, 1, 0xff],
  [RETURN, 0, 0, LARGEST_FRAME],
  [RETURN, 0, 0, 0]
]

const NEIGHBOURS: Filter = [
  [LOAD_HALF, 0, 0, 12],
  [JUMP_IF_EQUAL, 5, 0, ETH_P_ARP],
  [JUMP_IF_EQUAL, 0, 5, ETH_P_IPV6],
  [LOAD_BYTE, 0, 0, 20],
  [JUMP_IF_EQUAL, 0, 3, 58],
  [LOAD_BYTE, 0, 0, 54],
  [JUMP_IF_EQUAL, 0, 2, 135],
  [RETURN, 0, 0, LARGEST_FRAME],
  [RETURN, 0, 0, 0],
  [JUMP_IF_EQUAL, 0, 1, 136],
  [RETURN, 0, 0, LARGEST_FRAME],
  [RETURN, 0, 0, 0]
]

function ipv6FilterFor(port: number): Filter {
  return [
    [LOAD_HALF, 0, 0, 12],
    [JUMP_IF_EQUAL, 0, 5, ETH_P_IPV6],
    [LOAD_BYTE, 0, 0, 20],
    [JUMP_IF_EQUAL, 0, 3, 17],
    [LOAD_HALF, 0, 0, 56],
    [JUMP_IF_EQUAL, 0, 1, port],
    [RETURN, 0, 0, LARGEST_FRAME],
    [RETURN, 0, 0, 0]
  ]
}

function filterFor(port: number): Filter {
  return [
    [LOAD_HALF, 0, 0, 12],
    [JUMP_IF_EQUAL, 0, 8, ETH_P_IP],
    [LOAD_BYTE, 0, 0, 23],
    [JUMP_IF_EQUAL, 0, 6, 17],
    // A fragment: its first bytes are no UDP header.
    [LOAD_HALF, 0, 0, 20],
    [JUMP_IF_ANY, 4, 0, 0x1fff],
    [LOAD_HEADER_LENGTH, 0, 0, 14],
    [LOAD_HALF_BEHIND_HEADER, 0, 0, 16],
    [JUMP_IF_EQUAL, 0, 1, port],
    [RETURN, 0, 0, LARGEST_FRAME],
    [RETURN, 0, 0, 0]
  ]
}

/** struct sockaddr_ll */
function linkAddress(index: number, protocol: number): Uint8Array {
  const address = new Uint8Array(20)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, protocol, false)
  view.setInt32(4, index, true)
  return address
}

/** @throws {SysError} ENETDOWN while the interface is down, ENXIO when it is gone */
export function sendFrame(fd: number, frame: Uint8Array): void {
  if (libc.send(fd, frame, MSG_DONTWAIT) < 0) throw new SysError('send', 'frame', libc.errnoName(), '')
}

/**
 * A frame that has arrived, undefined when none has.
 *
 * @throws {SysError} ENETDOWN once when the interface goes down
 */
export function receiveFrame(fd: number): Uint8Array | undefined {
  const buffer = new Uint8Array(LARGEST_FRAME)
  const length = libc.recv(fd, buffer, MSG_DONTWAIT)
  if (length >= 0) return buffer.slice(0, length)
  const errno = libc.errnoName()
  if (errno === 'EAGAIN' || errno === 'EINTR') return undefined
  throw new SysError('receive', 'frame', errno, '')
}

export function closePacketSocket(fd: number): void {
  libc.close(fd)
}

/**
 * Takes a UDP port of the namespace the process is in now, so that the kernel does not answer what the packet socket
 * reads with "port unreachable". Nothing is read from it.
 *
 * @returns a descriptor, -1 when somebody has the port
 */
export function occupyUdpPort(port: number, family: 4 | 6 = 4): number {
  const domain = family === 4 ? AF_INET : AF_INET6
  const fd = libc.socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return -1
  const on = new Uint8Array([1, 0, 0, 0])
  libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on)
  // struct sockaddr_in, struct sockaddr_in6: the rest is zeros, for any address
  const address = new Uint8Array(family === 4 ? 16 : 28)
  const view = new DataView(address.buffer)
  view.setUint16(0, domain, true)
  view.setUint16(2, port, false)
  if (libc.bind(fd, address) >= 0) return fd
  libc.close(fd)
  return -1
}
