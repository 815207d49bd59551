/**
 * Times whole processes. The clock runs from just before posix_spawn to the return of waitpid, both called directly:
 * no pipes, no event loop, no copy of this process's memory. What is added to a plugin's own time is the kernel's exec
 * alone, the same for all.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { continueTraced, type Prepared, prepare, rewind, seizeAtExit, spawn, WALL, wait, waitAtMost } from '../libc.ts'
import { SCRATCH } from '../sandbox.ts'

/** One call of a program, ready to be timed any number of times. */
export interface TimedCall {
  readonly label: string
  readonly program: Prepared
  readonly env: Readonly<Record<string, string>>
  readonly stdin: number
  readonly stdout: number
  readonly stderr: number
  readonly outputPath: string
}

/** What one run of a call came to: milliseconds, or whatever else the meter counts. */
export interface Spent {
  readonly amount: number
  readonly status: number
}

/** A way to run a call and tell what it cost. */
export type Meter = (call: TimedCall) => Spent

/** Nothing that is measured takes so long: what does is stuck, and ends as a failure of its own scenario. */
const LIMIT_MS = 300_000

/** The programs' inputs and outputs lie in files in memory, whose names count up. */
let serial = 0

/** @param command the program and its arguments */
export function timedCall(
  label: string,
  [path, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  input: string
): TimedCall {
  serial += 1
  const inputPath = `${SCRATCH}/call-${serial}.in`
  const outputPath = `${SCRATCH}/call-${serial}.out`
  const stderr = openSync(`${SCRATCH}/call-${serial}.err`, 'a+')
  writeFileSync(inputPath, input)
  const stdin = openSync(inputPath, 'r')
  const stdout = openSync(outputPath, 'a+')
  return { label, program: prepare(path, args, env, [stdin, stdout, stderr]), env, stdin, stdout, stderr, outputPath }
}

/** The Node that runs this, with an empty program. */
export function bareNodeCall(): TimedCall {
  return timedCall('node', [process.execPath, '-e', '0'], { PATH: '/usr/bin:/bin', NODE_NO_WARNINGS: '1' }, '')
}

export function closeCall(call: TimedCall): void {
  closeSync(call.stdin)
  closeSync(call.stdout)
  closeSync(call.stderr)
}

/** What the last run printed on stdout. */
export function outputOf(call: TimedCall): string {
  return readFileSync(call.outputPath, 'utf8')
}

/** What the last run printed on stderr. */
export function errorsOf(call: TimedCall): string {
  return readFileSync(call.outputPath.replace(/out$/, 'err'), 'utf8')
}

function exitStatus(raw: number): number {
  return (raw & 0x7f) === 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
}

function makeReady(call: TimedCall): void {
  rewind(call.stdin)
  ftruncateSync(call.stdout)
  ftruncateSync(call.stderr)
}

/** Waits for the end of a call's process. @returns its exit status */
function finish(pid: number, label: string): number {
  const raw = waitAtMost(pid, LIMIT_MS)
  if (raw !== undefined) return exitStatus(raw)
  process.kill(pid, 'SIGKILL')
  wait(pid)
  throw new Error(`${label}: no end after ${LIMIT_MS / 1000} s`)
}

/** The usual meter. */
function clock(call: TimedCall): Spent {
  makeReady(call)
  const started = process.hrtime.bigint()
  const status = finish(spawn(call.program), call.label)
  return { amount: Number(process.hrtime.bigint() - started) / 1e6, status }
}

let meter: Meter = clock

/** Runs a call under the present meter. */
export function run(call: TimedCall): Spent {
  return meter(call)
}

/** Lets another meter take the clock's place in whatever `body` runs. */
export function measuredBy<T>(other: Meter, body: () => T): T {
  const before = meter
  meter = other
  try {
    return body()
  } finally {
    meter = before
  }
}

/** Runs a call as the last arguments of another program, in the call's own environment. @returns its exit status */
export function runUnder(call: TimedCall, program: string, args: readonly string[]): number {
  makeReady(call)
  const stdio = [call.stdin, call.stdout, call.stderr] as const
  return finish(spawn(prepare(program, [...args, call.program.path], call.env, stdio)), call.label)
}

/** Starts all at once and waits for all. `status` is the worst. */
export function runTogether(calls: readonly TimedCall[]): Spent {
  for (const call of calls) makeReady(call)
  const started = process.hrtime.bigint()
  const pids = calls.map(call => spawn(call.program))
  const worst = Math.max(...pids.map((pid, index) => finish(pid, calls[index]?.label ?? '')))
  return { amount: Number(process.hrtime.bigint() - started) / 1e6, status: worst }
}

const WUNTRACED = 2
const PTRACE_EVENT_EXIT = 6

/**
 * The most memory that one run of the program itself had resident, in KiB; programs that it starts do not count.
 *
 * The kernel's record for parents (ru_maxrss) begins at fork, so for a small program it shows the size of whoever
 * forked. Instead the program is stopped on its way out, and its VmHWM, which begins at exec, is read.
 */
export function peakMemory(call: TimedCall): number {
  makeReady(call)
  // A shell that stops itself and then becomes the program: it can be seized before the program's first instruction.
  const gate = prepare('/bin/sh', ['-c', 'kill -STOP $$; exec "$0"', call.program.path], call.env, [
    call.stdin,
    call.stdout,
    call.stderr
  ])
  const pid = spawn(gate)
  wait(pid, WUNTRACED)
  seizeAtExit(pid)
  process.kill(pid, 'SIGCONT')
  for (;;) {
    const raw = wait(pid, WALL)
    if ((raw & 0xff) !== 0x7f) throw new Error(`measure ${call.label}: it ended before its memory could be read`)
    const event = raw >> 16
    if (event === PTRACE_EVENT_EXIT) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      continueTraced(pid, 0)
      wait(pid, WALL)
      return Number(/^VmHWM:\s+([0-9]+) kB$/m.exec(status)?.[1] ?? Number.NaN)
    }
    const signal = (raw >> 8) & 0xff
    const pass = event === 0 && signal !== constants.signals.SIGTRAP && signal !== constants.signals.SIGSTOP
    continueTraced(pid, pass ? signal : 0)
  }
}
