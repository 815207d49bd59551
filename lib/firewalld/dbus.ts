/**
 * Method calls over D-Bus, as much of it as talking to firewalld takes: arguments are strings, answers nothing, a string
 * or a boolean.
 *
 * @source D-Bus specification 0.43, "Message Protocol", "Authentication Protocol"
 */

import { Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { UnixStream } from '../sys/unix-stream.ts'

const SYSTEM_BUS = '/run/dbus/system_bus_socket'
/** What D-Bus calls the same socket in an older place is a link to it. */
const TIMEOUT_MS = 10_000

const METHOD_CALL = 1
const METHOD_RETURN = 2
const ERROR = 3

const FIELD_PATH = 1
const FIELD_INTERFACE = 2
const FIELD_MEMBER = 3
const FIELD_ERROR_NAME = 4
const FIELD_REPLY_SERIAL = 5
const FIELD_DESTINATION = 6
const FIELD_SIGNATURE = 8

const LITTLE_ENDIAN = 0x6c
const PROTOCOL_VERSION = 1
const FIXED_HEADER = 16
/** The answers that are read are lines; the bus itself allows 128 MiB. */
const LONGEST_MESSAGE = 1_048_576

/** A method of an object of a service. */
export interface DbusMethod {
  readonly destination: string
  readonly path: string
  readonly interfaceName: string
  readonly member: string
}

/** What a method answered; each is the first value of its type. */
export interface DbusAnswer {
  readonly text: string
  readonly boolean: boolean
}

/** The service answered with an error: its name, and its text. */
export class DbusError extends Error {
  readonly errorName: string
  readonly text: string

  constructor(member: string, errorName: string, text: string) {
    super(`call ${member}: ${errorName} (${text})`)
    this.name = 'DbusError'
    this.errorName = errorName
    this.text = text
  }
}

const BUS = 'org.freedesktop.DBus'
const BUS_PATH = '/org/freedesktop/DBus'

export class Dbus {
  readonly #stream: UnixStream
  #received = new Uint8Array(0)
  #serial = 0

  /**
   * Connects to the system bus.
   *
   * @throws {SysError} ENOENT or ECONNREFUSED when there is none
   */
  constructor() {
    this.#stream = new UnixStream(busPath(), TIMEOUT_MS)
    this.#authenticate()
    this.call({ destination: BUS, path: BUS_PATH, interfaceName: BUS, member: 'Hello' }, [])
  }

  close(): void {
    this.#stream.close()
  }

  /** Whether a service of this name is on the bus. Does not start it. */
  hasService(name: string): boolean {
    const method = { destination: BUS, path: BUS_PATH, interfaceName: BUS, member: 'NameHasOwner' }
    return this.call(method, [name]).boolean
  }

  /** @throws {DbusError} with the service's own error */
  call(method: DbusMethod, args: readonly string[]): DbusAnswer {
    this.#serial += 1
    const serial = this.#serial
    this.#stream.send(encodeCall(method, args, serial))
    for (;;) {
      const answer = decodeAnswer(this.#nextMessage())
      if (answer.replySerial !== serial) continue
      if (answer.type === ERROR) throw new DbusError(method.member, answer.errorName, answer.text)
      if (answer.type === METHOD_RETURN) return { text: answer.text, boolean: answer.boolean }
    }
  }

  /** EXTERNAL: the socket itself tells the bus who we are. `30` is the user id 0 in hexadecimal ASCII. */
  #authenticate(): void {
    this.#stream.send(new TextEncoder().encode('\0AUTH EXTERNAL 30\r\n'))
    const line = this.#line()
    if (!line.startsWith('OK ')) {
      this.#stream.close()
      throw new KernelError('authenticate at', JSON.stringify(busPath()), 'EACCES', line)
    }
    this.#stream.send(new TextEncoder().encode('BEGIN\r\n'))
  }

  #line(): string {
    for (;;) {
      const text = new TextDecoder().decode(this.#received)
      const end = text.indexOf('\r\n')
      if (end >= 0) {
        this.#received = this.#received.slice(end + 2)
        return text.slice(0, end)
      }
      if (this.#received.length > LONGEST_MESSAGE) {
        throw new KernelError('authenticate at', JSON.stringify(busPath()), 'EPROTO', 'its line does not end')
      }
      this.#receiveMore()
    }
  }

  #nextMessage(): Uint8Array {
    while (this.#received.length < FIXED_HEADER) this.#receiveMore()
    const view = new DataView(this.#received.buffer, this.#received.byteOffset, this.#received.byteLength)
    const length = FIXED_HEADER + align8(view.getUint32(12, true)) + view.getUint32(4, true)
    if (this.#received[0] !== LITTLE_ENDIAN || length > LONGEST_MESSAGE) {
      throw new KernelError('receive from', JSON.stringify(busPath()), 'EPROTO', 'no answer that firewalld gives')
    }
    while (this.#received.length < length) this.#receiveMore()
    const message = this.#received.slice(0, length)
    this.#received = this.#received.slice(length)
    return message
  }

  #receiveMore(): void {
    const more = this.#stream.receive()
    const all = new Uint8Array(this.#received.length + more.length)
    all.set(this.#received, 0)
    all.set(more, this.#received.length)
    this.#received = all
  }
}

function busPath(): string {
  const address = process.env.DBUS_SYSTEM_BUS_ADDRESS ?? ''
  const prefix = 'unix:path='
  return address.startsWith(prefix) ? (address.slice(prefix.length).split(',')[0] ?? SYSTEM_BUS) : SYSTEM_BUS
}

function align8(length: number): number {
  return Math.ceil(length / 8) * 8
}

/** Strings only; every element of a header field is `byte, signature, value`, aligned to 8 bytes. */
function encodeCall(method: DbusMethod, args: readonly string[], serial: number): Uint8Array {
  const body = new Writer()
  for (const arg of args) writeString(body, arg)
  const fields = new Writer()
  writeField(fields, FIELD_PATH, 'o', method.path)
  writeField(fields, FIELD_INTERFACE, 's', method.interfaceName)
  writeField(fields, FIELD_MEMBER, 's', method.member)
  writeField(fields, FIELD_DESTINATION, 's', method.destination)
  if (args.length > 0) {
    const signature = new TextEncoder().encode('s'.repeat(args.length))
    fields.align(8).u8(FIELD_SIGNATURE).u8(1).u8(0x67).u8(0).u8(signature.length).bytes(signature).u8(0)
  }
  const writer = new Writer().u8(LITTLE_ENDIAN).u8(METHOD_CALL).u8(0).u8(PROTOCOL_VERSION)
  writer.u32(body.length()).u32(serial).u32(fields.length()).bytes(fields.finish()).align(8)
  return writer.bytes(body.finish()).finish()
}

function writeField(writer: Writer, code: number, type: 'o' | 's', value: string): void {
  writer
    .align(8)
    .u8(code)
    .u8(1)
    .u8(type === 'o' ? 0x6f : 0x73)
    .u8(0)
  writeString(writer, value)
}

function writeString(writer: Writer, value: string): void {
  const bytes = new TextEncoder().encode(value)
  writer.align(4).u32(bytes.length).bytes(bytes).u8(0)
}

interface Answer {
  readonly type: number
  readonly replySerial: number
  readonly errorName: string
  readonly text: string
  readonly boolean: boolean
}

/** @throws {DecodeError} when it is cut off */
export function decodeAnswer(message: Uint8Array): Answer {
  const reader = new Reader(message, 'D-Bus message')
  reader.skip(1)
  const type = reader.u8()
  reader.skip(10)
  const end = FIXED_HEADER + reader.u32()
  let replySerial = 0
  let errorName = ''
  let signature = ''
  while (reader.offset() < end) {
    const code = reader.u8()
    reader.skip(1)
    const kind = String.fromCharCode(reader.u8())
    reader.skip(1)
    if (kind === 'u') {
      const value = reader.u32()
      if (code === FIELD_REPLY_SERIAL) replySerial = value
    } else {
      const value = textOf(reader.bytes(kind === 'g' ? reader.u8() : reader.u32()))
      // The NUL after it.
      reader.skip(1)
      if (code === FIELD_SIGNATURE) signature = value
      if (code === FIELD_ERROR_NAME) errorName = value
    }
    reader.align(8)
  }
  reader.align(8)
  return { type, replySerial, errorName, text: firstText(signature, reader), boolean: firstBoolean(signature, reader) }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function firstText(signature: string, body: Reader): string {
  return signature.startsWith('s') ? textOf(body.bytes(body.u32())) : ''
}

function firstBoolean(signature: string, body: Reader): boolean {
  return signature.startsWith('b') && body.u32() !== 0
}
