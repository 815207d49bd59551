import {
  closeNetlink,
  joinNetlinkGroups,
  openNetlink,
  receiveWaiting,
  setNetlinkBuffers
} from '../sys/netlink-socket.ts'
import { decodeMessages, type Message } from './message.ts'

/** What happened in a namespace, as the kernel tells it to those who ask for it. Nothing is sent. */
export class KernelEvents {
  readonly #fd: number

  /**
   * @param protocol NETLINK_*
   * @param groups such as RTNLGRP_LINK
   * @param bytes of the events that may wait to be read
   */
  constructor(protocol: number, groups: readonly number[], bytes: number) {
    this.#fd = openNetlink(protocol)
    setNetlinkBuffers(this.#fd, bytes)
    joinNetlinkGroups(this.#fd, groups)
  }

  /**
   * The events of one datagram if one has come.
   *
   * @returns undefined when there is none; the payloads are overwritten by the next call
   * @throws {SysError} ENOBUFS when events were dropped; {DecodeError}
   */
  take(): readonly Message[] | undefined {
    const datagram = receiveWaiting(this.#fd)
    return datagram === undefined ? undefined : decodeMessages(datagram)
  }

  close(): void {
    closeNetlink(this.#fd)
  }
}
