/** Counts what a call asks of the kernel, with strace: system calls and programs, its own and its children's. */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { SCRATCH } from '../sandbox.ts'
import { type Meter, runUnder, type TimedCall } from './measure.ts'

export interface KernelCalls {
  readonly systemCalls: number
  /** The plugin itself is the first. */
  readonly programs: number
}

/** The same, and what the plugin's own process computes; undefined where it was not counted. */
export interface Counts extends KernelCalls {
  readonly instructions: number | undefined
}

const PATHS = ['/usr/bin/strace', '/bin/strace', '/usr/local/bin/strace']

/**
 * Reads a log of `strace -f -o FILE`. A call that another process interrupted is written in two lines, of which the
 * second, `<... read resumed>`, only brings its result.
 */
export function countKernelCalls(log: string): KernelCalls {
  let systemCalls = 0
  let programs = 0
  for (const line of log.split('\n')) {
    const [, resumed, name] = /^\d+ +(<\.\.\. )?([a-z_][a-z0-9_]*)(?:\(| resumed>)/.exec(line) ?? []
    if (name === undefined) continue
    if (resumed === undefined) systemCalls += 1
    if (/^execve(at)?$/.test(name) && / = 0$/.test(line)) programs += 1
  }
  return { systemCalls, programs }
}

/** Where strace is; undefined where it is not, or may not trace. */
export function findStrace(): string | undefined {
  return PATHS.find(path => spawnSync(path, ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0)
}

function traced(call: TimedCall, strace: string, flags: readonly string[]): { log: string; status: number } {
  const path = `${SCRATCH}/strace.log`
  const status = runUnder(call, strace, ['-f', '-qq', '-e', 'signal=none', ...flags, '-o', path])
  const log = readFileSync(path, 'utf8')
  rmSync(path)
  return { log, status }
}

export function systemCallMeter(strace: string): Meter {
  return call => {
    const { log, status } = traced(call, strace, [])
    return { amount: countKernelCalls(log).systemCalls, status }
  }
}

/** Traces nothing but execve, which costs next to no time. */
export function programMeter(strace: string): Meter {
  return call => {
    const { log, status } = traced(call, strace, ['--seccomp-bpf', '-e', 'trace=execve,execveat'])
    return { amount: countKernelCalls(log).programs, status }
  }
}
