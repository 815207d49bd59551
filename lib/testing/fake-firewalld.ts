/**
 * A system bus with firewalld on it, as far as zones' sources go: `node fake-firewalld.ts SOCKET LOG`. What each call
 * asked for is a line of the log.
 *
 * @source D-Bus specification, "Message Protocol"; firewalld.dbus(5)
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Helper, isListening } from './helper.ts'

const PROGRAM = fileURLToPath(import.meta.url)

export class FakeFirewalld {
  readonly address: string
  readonly #directory = mkdtempSync(join(tmpdir(), 'firewalld-'))
  readonly #helper: Helper

  constructor() {
    const socket = join(this.#directory, 'bus')
    this.address = `unix:path=${socket}`
    writeFileSync(join(this.#directory, 'log'), '')
    const command = [process.execPath, '--no-warnings', PROGRAM, socket, join(this.#directory, 'log')]
    this.#helper = Helper.start('fake firewalld', command, () => isListening(socket))
  }

  /** Calls so far: `addSource trusted 10.4.0.2/32`. */
  calls(): readonly string[] {
    return readFileSync(join(this.#directory, 'log'), 'utf8').split('\n').slice(0, -1)
  }

  close(): void {
    this.#helper.end()
    rmSync(this.#directory, { recursive: true })
  }
}

interface Call {
  readonly serial: number
  readonly member: string
  readonly args: readonly string[]
}

function serve(path: string, log: string): void {
  const sources = new Map<string, string>()
  createServer(socket => {
    let pending = Buffer.alloc(0)
    let isOpen = false
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      pending = Buffer.concat([pending, Buffer.from(chunk)])
      if (!isOpen) {
        if (pending.includes('AUTH EXTERNAL 30\r\n') && !pending.includes('BEGIN\r\n')) socket.write('OK 0123\r\n')
        const begin = pending.indexOf('BEGIN\r\n')
        if (begin < 0) return
        isOpen = true
        pending = pending.subarray(begin + 7)
      }
      for (;;) {
        const length = messageLength(pending)
        if (length === 0 || pending.length < length) return
        answer(socket, decode(pending.subarray(0, length)), sources, log)
        pending = pending.subarray(length)
      }
    })
  }).listen(path)
}

function messageLength(bytes: Buffer): number {
  return bytes.length < 16 ? 0 : 16 + align(bytes.readUInt32LE(12), 8) + bytes.readUInt32LE(4)
}

function align(n: number, to: number): number {
  return Math.ceil(n / to) * to
}

function decode(bytes: Buffer): Call {
  const end = 16 + bytes.readUInt32LE(12)
  let at = 16
  let member = ''
  while (at < end) {
    const code = bytes.readUInt8(at)
    const kind = bytes.toString('latin1', at + 2, at + 3)
    at += 4
    if (kind === 'g') at += bytes.readUInt8(at) + 2
    else {
      at = align(at, 4)
      const length = bytes.readUInt32LE(at)
      if (code === 3) member = bytes.toString('utf8', at + 4, at + 4 + length)
      at += 4 + length + 1
    }
    at = align(at, 8)
  }
  const args: string[] = []
  at = align(end, 8)
  while (at < bytes.length) {
    at = align(at, 4)
    const length = bytes.readUInt32LE(at)
    args.push(bytes.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length + 1
  }
  return { serial: bytes.readUInt32LE(8), member, args }
}

function answer(socket: Socket, call: Call, sources: Map<string, string>, log: string): void {
  const [zone = '', source = ''] = call.args
  const there = sources.get(source)
  // A signal in between, as the real bus sends NameAcquired: clients must skip what is no answer to them.
  if (call.member === 'Hello') {
    socket.write(nameAcquired(':1.7'))
    socket.write(returned(call, ':1.7'))
    return
  }
  if (call.member === 'NameHasOwner') {
    socket.write(returned(call, zone === 'org.fedoraproject.FirewallD1'))
    return
  }
  appendFileSync(log, `${call.member} ${zone} ${source}\n`)
  if (call.member === 'querySource') {
    socket.write(returned(call, there === zone))
    return
  }
  const refusal = refusalOf(call.member, zone, there !== undefined)
  if (refusal !== '') {
    socket.write(refused(call, `${refusal}: ${refusal === 'INVALID_ZONE' ? zone : source}`))
    return
  }
  if (call.member === 'addSource') sources.set(source, zone)
  else sources.delete(source)
  socket.write(returned(call, zone))
}

/** The name of firewalld's error, '' for none. */
function refusalOf(member: string, zone: string, isThere: boolean): string {
  if (zone === 'nosuch') return 'INVALID_ZONE'
  if (member === 'addSource' && isThere) return 'ZONE_ALREADY_SET'
  return member === 'removeSource' && !isThere ? 'UNKNOWN_SOURCE' : ''
}

/** One of a message's header fields, by its code. */
interface Field {
  readonly code: number
  readonly signature: string
  readonly bytes: Buffer
}

const replyTo = (call: Call): Field => ({ code: 5, signature: 'u', bytes: number32(call.serial) })

function returned(call: Call, value: string | boolean): Buffer {
  return encode(2, [replyTo(call)], value)
}

function refused(call: Call, text: string): Buffer {
  const name: Field = { code: 4, signature: 's', bytes: string('org.fedoraproject.FirewallD1.Exception') }
  return encode(3, [replyTo(call), name], text)
}

function nameAcquired(name: string): Buffer {
  const path: Field = { code: 1, signature: 'o', bytes: string('/org/freedesktop/DBus') }
  return encode(4, [path, { code: 3, signature: 's', bytes: string('NameAcquired') }], name)
}

let serial = 0

/** A message with one value. */
function encode(type: number, fields: readonly Field[], value: string | boolean): Buffer {
  serial += 1
  const isText = typeof value === 'string'
  const body = isText ? string(value) : number32(value ? 1 : 0)
  const ofBody: Field = { code: 8, signature: 'g', bytes: Buffer.from([1, (isText ? 's' : 'b').charCodeAt(0), 0]) }
  let header = Buffer.alloc(0)
  for (const { code, signature, bytes } of [...fields, ofBody]) {
    const padding = Buffer.alloc(align(header.length, 8) - header.length)
    header = Buffer.concat([header, padding, Buffer.from([code, 1, signature.charCodeAt(0), 0]), bytes])
  }
  const start = Buffer.from([0x6c, type, 0, 1])
  const lengths = [body.length, serial, header.length].map(number32)
  return Buffer.concat([start, ...lengths, header, Buffer.alloc(align(header.length, 8) - header.length), body])
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([number32(bytes.length), bytes, Buffer.from([0])])
}

if (process.argv[1] === PROGRAM) serve(process.argv[2] ?? '', process.argv[3] ?? '')
