/**
 * Packet sockets that hear a whole namespace: every packet that an interface receives or sends, from its IP header on, with
 * the interface and the direction. For the command alone: recvfrom and the filter's pointer are the Node engine's.
 *
 * @source man 7 packet; linux/if_packet.h struct sockaddr_ll
 */
import { dlopen } from 'node:ffi'
import * as libc from '#libc'
import { SysError } from './errors.ts'
import type { Filter } from './packet-filter.ts'
import { openFilteredSocket } from './packet-socket.ts'

const { functions: c } = dlopen('libc.so.6', {
  recvfrom: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'buffer'], return: 'i64' }
})

const SOCK_DGRAM = 2
const SOL_SOCKET = 1
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
    this.#fd = openFilteredSocket(SOCK_DGRAM, 0, ETH_P_ALL, filter)
    const room = new Uint8Array(4)
    new DataView(room.buffer).setUint32(0, BUFFER_BYTES, true)
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, room)
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
