/**
 * The program that loads a path between two namespaces: TCP by the C library's own calls, so that the kernel's path and
 * not this program is what limits. Each end keeps to a processor of its own where there are two.
 *
 *     node traffic.ts listen ADDRESS PORT CPU
 *     node traffic.ts measure ADDRESS PORT CPU MILLISECONDS     prints a Traffic as JSON
 */
import { availableParallelism, constants, setPriority } from 'node:os'
import {
  accept,
  connect,
  listen,
  pinTo,
  receive,
  receiveNow,
  reset,
  send,
  shutdownWriting,
  WOULD_BLOCK
} from './sockets.ts'

/** What one visit to the path found. */
export interface Traffic {
  /** Bits per second, counted where they arrive. */
  readonly throughput: number
  /** The middle of many round trips of one byte, seconds. */
  readonly latency: number
  /** The middle of many connections' making, seconds. */
  readonly connection: number
}

/** What a connection is for, as its first byte. */
const ECHO = 1
const STREAM = 2
const NOTHING = 3

const CHUNK = 1 << 20
const CONNECTIONS = 100
const WINDOW_SECONDS = 0.01

const now = (): number => Number(process.hrtime.bigint()) / 1e9

function middle(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Sleeping costs a wake-up, which varies more than the path does; spinning needs a processor for each end. */
const SPINS = availableParallelism() > 1

/** A byte that has not come after so many looks, about ten seconds, never will. */
const LOOKS = 2e7

function receiveByte(fd: number, byte: Uint8Array): number {
  if (!SPINS) return receive(fd, byte)
  for (let looks = 0; looks < LOOKS; looks += 1) {
    const count = receiveNow(fd, byte)
    if (count !== WOULD_BLOCK) return count
  }
  return 0
}

function echo(fd: number, byte: Uint8Array): void {
  while (receiveByte(fd, byte) === 1) send(fd, byte)
}

/**
 * Takes everything in and answers with bits per second: the middle of the rates of many short windows, which a moment in
 * which the processor was with somebody else does not change. The first windows, when the sender feels its way, are left
 * out.
 */
function swallow(fd: number, buffer: Uint8Array): void {
  const rates: number[] = []
  let started = now()
  for (let bytes = 0; ; ) {
    const count = receive(fd, buffer, true)
    if (count <= 0) break
    bytes += count
    const past = now() - started
    if (past < WINDOW_SECONDS) continue
    rates.push((bytes * 8) / past)
    started += past
    bytes = 0
  }
  const settled = rates.slice(rates.length >> 2)
  send(fd, new Uint8Array(Float64Array.of(middle(settled)).buffer))
  // Whoever resets first takes what is under way with it: that is for the reader of the answer to do.
  receive(fd, buffer)
}

function serve(address: string, port: number): never {
  const listener = listen(address, port)
  const byte = new Uint8Array(1)
  const buffer = new Uint8Array(CHUNK)
  for (;;) {
    const fd = accept(listener)
    try {
      receive(fd, byte)
      if (byte[0] === ECHO) echo(fd, byte)
      if (byte[0] === STREAM) swallow(fd, buffer)
    } catch (error) {
      // One visitor's broken connection is no reason to refuse the next.
      process.stderr.write(`${String(error)}\n`)
    }
    reset(fd)
  }
}

function connectionTime(address: string, port: number): number {
  const times: number[] = []
  for (let i = 0; i < CONNECTIONS; i += 1) {
    const started = now()
    const fd = connect(address, port)
    times.push(now() - started)
    send(fd, Uint8Array.of(NOTHING))
    // The other end resets it; to wait for that keeps its queue short.
    receive(fd, new Uint8Array(1))
    reset(fd)
  }
  return middle(times)
}

function roundTrip(address: string, port: number, seconds: number): number {
  const fd = connect(address, port)
  const byte = Uint8Array.of(ECHO)
  send(fd, byte)
  const times: number[] = []
  const end = now() + seconds
  for (let before = now(); before < end; ) {
    send(fd, byte)
    if (receiveByte(fd, byte) !== 1) throw new Error('measure latency: the connection broke')
    const after = now()
    times.push(after - before)
    before = after
  }
  reset(fd)
  return middle(times)
}

function bitsPerSecond(address: string, port: number, seconds: number): number {
  const fd = connect(address, port)
  send(fd, Uint8Array.of(STREAM))
  const buffer = new Uint8Array(CHUNK)
  for (const end = now() + seconds; now() < end; ) send(fd, buffer)
  shutdownWriting(fd)
  const answer = new Uint8Array(8)
  if (receive(fd, answer) !== answer.length) throw new Error('measure throughput: the connection broke')
  reset(fd)
  return new Float64Array(answer.buffer)[0] ?? Number.NaN
}

function main([mode = '', address = '', port = '', cpu = '', milliseconds = '']: readonly string[]): void {
  if (SPINS) pinTo(Number(cpu))
  // Whatever else the machine does comes second for these moments: it would hit one path more than the other.
  setPriority(constants.priority.PRIORITY_HIGHEST)
  if (mode === 'listen') serve(address, Number(port))
  const seconds = Number(milliseconds) / 1000
  const connection = connectionTime(address, Number(port))
  const latency = roundTrip(address, Number(port), seconds / 4)
  const throughput = bitsPerSecond(address, Number(port), (seconds * 3) / 4)
  process.stdout.write(JSON.stringify({ throughput, latency, connection } satisfies Traffic))
}

if (import.meta.main) main(process.argv.slice(2))
