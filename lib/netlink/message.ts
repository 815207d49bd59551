/**
 * The netlink envelope: struct nlmsghdr around every request and answer, and the answer that is an error.
 *
 * @source linux/netlink.h struct nlmsghdr, struct nlmsgerr, enum nlmsgerr_attrs
 */
import { DecodeError, Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import { readingRows } from './rows.ts'

export const NLM_F_REQUEST = 0x1
export const NLM_F_MULTI = 0x2
export const NLM_F_ACK = 0x4
export const NLM_F_ECHO = 0x8
export const NLM_F_DUMP_INTR = 0x10
/** Of a get request. */
const NLM_F_ROOT = 0x100
const NLM_F_MATCH = 0x200
export const NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH
/** Of a new request. */
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
/** Of an acknowledgement. */
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_OVERRUN = 4

const NLMSG_HEADER = 16

/** A message without its envelope; `payload` is a view into the datagram. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly port: number
  readonly payload: Uint8Array
}

/** A request's envelope around its payload, padded so that another message may follow. */
export function encodeMessage(type: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
  const message = new Writer()
  appendMessage(message, { type, flags, sequence, payload })
  return message.finish()
}

/** What is to be in the envelope, and on it. */
interface Envelope {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly payload: Uint8Array
}

/** The same behind what is written already. */
export function appendMessage(datagram: Writer, { type, flags, sequence, payload }: Envelope): void {
  datagram.u32(NLMSG_HEADER + payload.length)
  datagram.u16(type)
  datagram.u16(flags)
  datagram.u32(sequence)
  datagram.u32(0)
  datagram.bytes(payload)
  datagram.align(4)
}

/**
 * Splits a datagram into its messages.
 *
 * @throws {DecodeError} when lengths do not add up
 */
export function decodeMessages(datagram: Uint8Array): readonly Message[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const messages: Message[] = []
  let offset = 0
  while (offset < datagram.length) {
    const left = datagram.length - offset
    if (left < NLMSG_HEADER) throw new DecodeError('nlmsghdr', `needs 16 bytes, got ${String(left)}`)
    const length = view.getUint32(offset, true)
    if (length < NLMSG_HEADER || length > left) {
      throw new DecodeError('nlmsghdr', `claims ${String(length)} of ${String(left)} bytes`)
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      port: view.getUint32(offset + 12, true),
      payload: datagram.subarray(offset + NLMSG_HEADER, offset + length)
    })
    offset += (length + 3) & ~3
  }
  return messages
}

/** The kernel's verdict on a request. */
export interface Verdict {
  /** 0 for done, else the errno as a positive number. */
  readonly errno: number
  /** The kernel's own words, from NETLINK_EXT_ACK; empty when it gave none. */
  readonly text: string
  /** Where in the request the fault lies: bytes from the start of its nlmsghdr. */
  readonly offset: number | undefined
}

/**
 * Reads an NLMSG_ERROR, or the verdict at the end of a dump (NLMSG_DONE).
 *
 * An error answer repeats the request: its header alone when NLM_F_CAPPED says so, else the whole of it, and
 * only then come the attributes.
 */
export function decodeVerdict(message: Message): Verdict {
  const reader = new Reader(message.payload, 'nlmsgerr')
  const errno = message.payload.length === 0 ? 0 : -reader.i32()
  if (message.type === NLMSG_ERROR) {
    const length = reader.u32()
    reader.skip(NLMSG_HEADER - 4)
    if ((message.flags & NLM_F_CAPPED) === 0 && errno !== 0) reader.skip((length - NLMSG_HEADER + 3) & ~3)
  }
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, text: '', offset: undefined }
  const rows = readingRows(reader.rest(), 'NLMSGERR_ATTR', false)
  const text = rows.text(1, 'NLMSGERR_ATTR_MSG', undefined, 0) ?? ''
  return { errno, text, offset: rows.u32(2, 'NLMSGERR_ATTR_OFFS', undefined) }
}
