/**
 * Runs a program the way runtimes do: standard input, output and error are pipes. Node's own spawnSync gives UNIX
 * sockets, which cannot be opened by /dev/stdin: a shell plugin that begins with `cat /dev/stdin` works under every
 * runtime and would fail under the judge.
 */
import { existsSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { closeFd, kill, pidfd, pipe, pollFds, prepare, spawn, wait } from './libc.ts'

export interface Program {
  /** A path, or a name that is looked up in the usual folders. */
  readonly path: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly input: Uint8Array
  readonly timeoutMs: number
}

export interface Ended {
  /** Exit status; undefined when a signal ended it. */
  readonly status: number | undefined
  readonly signal: string | undefined
  readonly timedOut: boolean
  /** Whether somebody still holds its stdout or stderr: whoever reads to the end waits. */
  readonly isHeld: boolean
  readonly stdout: string
  readonly stderr: string
}

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

function located(name: string): string {
  if (name.includes('/')) return name
  return FOLDERS.map(folder => `${folder}/${name}`).find(path => existsSync(path)) ?? name
}

/** One that takes gigabytes of a plugin gone mad is no use. */
const LONGEST_OUTPUT = 1 << 26
/** A pipe that can be written takes this much without waiting for its reader. */
const PIPE_BUF = 4096

/** What comes out of one of the program's outputs, as long as somebody holds its other end. */
class Output {
  #fd: number
  #length = 0
  readonly #chunks: Buffer[] = []

  constructor(fd: number) {
    this.#fd = fd
  }

  get fd(): number {
    return this.#fd
  }

  /** Reads once; only when there is something. */
  read(): void {
    const chunk = Buffer.alloc(65_536)
    const length = readSync(this.#fd, chunk)
    if (length > 0) this.#chunks.push(chunk.subarray(0, length))
    this.#length += length
    if (length === 0 || this.#length > LONGEST_OUTPUT) this.close()
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd)
    this.#fd = -1
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}

/** What is still to be handed over, a piece at a time so that writing never waits. */
class Input {
  #fd: number
  #rest: Uint8Array

  constructor(fd: number, bytes: Uint8Array) {
    this.#fd = fd
    this.#rest = bytes
    if (bytes.length === 0) this.close()
  }

  get fd(): number {
    return this.#fd
  }

  write(): void {
    try {
      this.#rest = this.#rest.subarray(writeSync(this.#fd, this.#rest.subarray(0, PIPE_BUF)))
    } catch {
      // A plugin may refuse before it has read all of its input; that is no failure of the call.
      this.#rest = this.#rest.subarray(this.#rest.length)
    }
    if (this.#rest.length === 0) this.close()
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd)
    this.#fd = -1
  }
}

/** @throws Error when the program cannot be started */
export function runPiped(program: Program): Ended {
  const pipes = [pipe(), pipe(), pipe()] as const
  const [stdin, stdout, stderr] = pipes
  const ours = prepare(located(program.path), program.args, program.env, [stdin.read, stdout.write, stderr.write])
  let pid: number
  try {
    pid = spawn(ours)
  } catch (error) {
    for (const { read, write } of pipes) for (const fd of [read, write]) closeFd(fd)
    throw error
  }
  for (const fd of [stdin.read, stdout.write, stderr.write]) closeFd(fd)
  const input = new Input(stdin.write, program.input)
  const outputs = [new Output(stdout.read), new Output(stderr.read)] as const
  const end = pidfd(pid)
  const timedOut = !exchanged(input, outputs, end, program.timeoutMs)
  if (timedOut) kill(pid, constants.signals.SIGKILL)
  const raw = wait(pid)
  // What it had printed before it ended is in the pipes; what a process that it left behind prints is not waited for.
  for (const output of outputs) while (output.fd >= 0 && pollFds([output], 0)[0] === true) output.read()
  const isHeld = outputs.some(({ fd }) => fd >= 0)
  for (const one of [input, ...outputs]) one.close()
  closeFd(end)
  const [out, err] = outputs
  return { ...ending(raw), timedOut, isHeld, stdout: out.text(), stderr: err.text() }
}

/** Moves bytes until the process has ended. @returns whether it ended in time */
function exchanged(input: Input, outputs: readonly [Output, Output], end: number, timeoutMs: number): boolean {
  const until = Date.now() + timeoutMs
  for (;;) {
    const left = until - Date.now()
    if (left <= 0) return false
    const [stdout, stderr] = outputs
    const ready = pollFds([{ fd: input.fd, write: true }, stdout, stderr, { fd: end }], left)
    if (ready[0] === true) input.write()
    if (ready[1] === true) stdout.read()
    if (ready[2] === true) stderr.read()
    if (ready[3] === true) return true
  }
}

/** A raw wait status in words. */
function ending(raw: number): { readonly status: number | undefined; readonly signal: string | undefined } {
  const number = raw & 0x7f
  if (number === 0) return { status: (raw >> 8) & 0xff, signal: undefined }
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0]
  return { status: undefined, signal: name ?? `signal ${number}` }
}
