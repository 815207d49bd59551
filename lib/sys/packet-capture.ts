/**
 * Packet sockets that hear a whole namespace: every packet that an interface receives or sends, from its IP header on, with
 * the interface and the direction. For the command alone: recvfrom and the filter's pointer are the Node engine's.
 *
 * @source man 7 packet; linux/if_packet.h struct sockaddr_ll
 */
import { dlopen, getRawPointer } from 'node:ffi'
import * as libc from '#libc'
import { SysError } from './errors.ts'
import { type Filter, programOf } from './packet-filter.ts'

const { functions: c } = dlopen('libc.so.6', {
  recvfrom: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'buffer'], return: 'i64' }
})

const AF_PACKET = 17
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26
const SO_RCVBUFFORCE = 33
const ETH_P_ALL = 0x0003
const MSG_DONTWAIT = 0x40
const SOCKADDR_LL = 20
const BUFFER_BYTES = 1 << 20
const LARGEST_PACKET = 65_536

/** sll_pkttype. `foreign`: the frame is for another MAC address. */
const DIRECTIONS = ['in', 'in', 'in', 'foreign', 'out'] as const

export interface CapturedPacket {
  readonly direction: (typeof DIRECTIONS)[number]
  /** Of the interface. */
  readonly index: number
  /** From the IP header on. */
  readonly packet: Uint8Array
}

export class PacketCapture {
  readonly #fd: number
  readonly #buffer = new Uint8Array(LARGEST_PACKET)

  /**
   * Opens it in the namespace the process is in now. Nothing is heard that the filter does not let through.
   *
   * @param filter over packets from the IP header on
   * @throws {SysError} EPERM without CAP_NET_RAW
   */
  constructor(filter: Filter) {
    // Protocol 0: nothing arrives before the filter is in place.
    this.#fd = libc.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (this.#fd < 0) throw new SysError('socket', 'AF_PACKET', libc.errnoName(), '')
    const room = new Uint8Array(4)
    new DataView(room.buffer).setUint32(0, BUFFER_BYTES, true)
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, room)
    const program = programOf(filter)
    const description = new Uint8Array(16)
    const view = new DataView(description.buffer)
    view.setUint16(0, program.length / 8, true)
    view.setBigUint64(8, BigInt(getRawPointer(program)), true)
    const attached = libc.setsockopt(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, description)
    if (attached < 0 || libc.bind(this.#fd, everyInterface()) < 0) {
      const errno = libc.errnoName()
      libc.close(this.#fd)
      throw new SysError(attached < 0 ? 'attach filter to' : 'bind', 'packet socket', errno, '')
    }
  }

  /** The next one, in the order in which they passed. @returns undefined when nothing is waiting */
  take(): CapturedPacket | undefined {
    const address = new Uint8Array(SOCKADDR_LL)
    const length = new Uint8Array([SOCKADDR_LL, 0, 0, 0])
    const size = BigInt(this.#buffer.length)
    const received = Number(c.recvfrom(this.#fd, this.#buffer, size, MSG_DONTWAIT, address, length))
    if (received < 0) {
      const errno = libc.errnoName()
      // ENETDOWN: one of the interfaces has gone down.
      if (['EAGAIN', 'EINTR', 'ENETDOWN'].includes(errno)) return undefined
      throw new SysError('receive', 'packet', errno, '')
    }
    const view = new DataView(address.buffer)
    return {
      direction: DIRECTIONS[view.getUint8(10)] ?? 'in',
      index: view.getInt32(4, true),
      packet: this.#buffer.slice(0, received)
    }
  }

  close(): void {
    libc.close(this.#fd)
  }
}

/** struct sockaddr_ll of no interface in particular */
function everyInterface(): Uint8Array {
  const address = new Uint8Array(SOCKADDR_LL)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, ETH_P_ALL, false)
  return address
}
