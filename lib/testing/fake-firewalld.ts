/**
 * A system bus with firewalld on it, as far as zones' sources go: `node fake-firewalld.ts SOCKET LOG`. What each call
 * asked for is a line of the log.
 *
 * @source D-Bus specification, "Message Protocol"; firewalld.dbus(5)
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(import.meta.url)

export class FakeFirewalld {
  readonly address: string
  readonly #directory = mkdtempSync(join(tmpdir(), 'firewalld-'))
  readonly #child: ChildProcess

  constructor() {
    const socket = join(this.#directory, 'bus')
    this.address = `unix:path=${socket}`
    writeFileSync(join(this.#directory, 'log'), '')
    const args = ['--no-warnings', PROGRAM, socket, join(this.#directory, 'log')]
    this.#child = spawn(process.execPath, args, { stdio: 'ignore' })
    const deadline = Date.now() + 30_000
    while (!existsSync(socket)) {
      if (Date.now() > deadline) throw new Error('start fake firewalld: it does not listen')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }

  /** Calls so far: `addSource trusted 10.4.0.2/32`. */
  calls(): readonly string[] {
    return readFileSync(join(this.#directory, 'log'), 'utf8').split('\n').slice(0, -1)
  }

  close(): void {
    this.#child.kill('SIGKILL')
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
    socket.write(encode(4, 1, 0, 's', ':1.7', ''))
    socket.write(encode(2, 2, call.serial, 's', ':1.7', ''))
    return
  }
  if (call.member === 'NameHasOwner') {
    socket.write(encode(2, 3, call.serial, 'b', zone === 'org.fedoraproject.FirewallD1' ? '1' : '', ''))
    return
  }
  appendFileSync(log, `${call.member} ${zone} ${source}\n`)
  const fail = (text: string): boolean =>
    socket.write(encode(3, 4, call.serial, 's', text, 'org.fedoraproject.FirewallD1.Exception'))
  if (call.member === 'querySource') {
    socket.write(encode(2, 4, call.serial, 'b', there === zone ? '1' : '', ''))
    return
  }
  if (zone === 'nosuch') fail('INVALID_ZONE: nosuch')
  else if (call.member === 'addSource' && there !== undefined) fail(`ZONE_ALREADY_SET: '${source}' already bound`)
  else if (call.member === 'removeSource' && there === undefined) fail(`UNKNOWN_SOURCE: '${source}' is not in any zone`)
  else {
    if (call.member === 'addSource') sources.set(source, zone)
    else sources.delete(source)
    socket.write(encode(2, 4, call.serial, 's', zone, ''))
  }
}

/** A message with one value: `b` from '' or '1', `s`. */
function encode(type: number, serial: number, reply: number, kind: 'b' | 's', value: string, error: string): Buffer {
  const body = kind === 'b' ? number32(value === '' ? 0 : 1) : string(value)
  let fields = Buffer.alloc(0)
  const field = (code: number, signature: string, bytes: Buffer): void => {
    const head = Buffer.from([code, 1, signature.charCodeAt(0), 0])
    fields = Buffer.concat([fields, Buffer.alloc(align(fields.length, 8) - fields.length), head, bytes])
  }
  if (reply !== 0) field(5, 'u', number32(reply))
  if (error !== '') field(4, 's', string(error))
  if (type === 4) {
    field(1, 'o', string('/org/freedesktop/DBus'))
    field(3, 's', string('NameAcquired'))
  }
  field(8, 'g', Buffer.from([1, kind.charCodeAt(0), 0]))
  const head = Buffer.concat([Buffer.from([0x6c, type, 0, 1]), ...[body.length, serial, fields.length].map(number32)])
  return Buffer.concat([head, fields, Buffer.alloc(align(fields.length, 8) - fields.length), body])
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
