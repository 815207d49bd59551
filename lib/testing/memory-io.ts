/** A plugin's surroundings in memory: one call of `run` without a process. */

import type { Io } from '../cni/io.ts'
import type { Plugin, Request } from '../cni/plugin.ts'
import { EMPTY_RESULT, type Result } from '../cni/result.ts'
import { run } from '../cni/run.ts'
import { type Json, parseJson } from '../config/json.ts'
import type { Finished } from '../sys/exec.ts'

export interface MemoryCall {
  readonly env?: Readonly<Record<string, string>>
  /** A text, raw bytes, or an object to be written as JSON. */
  readonly stdin?: string | Uint8Array | object
  readonly builtins?: readonly Plugin[]
  /** Stands in for executing a delegate. */
  readonly execute?: (path: string, command: string, stdin: string) => Finished
  /** The file this process is said to run. */
  readonly executable?: string
  readonly failStdout?: Error
  readonly failStdin?: Error
}

export interface MemoryAnswer {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The variables of a whole call of `command`. */
export function callEnv(command: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/patchbay-test-absent',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/nonexistent',
    ...more
  }
}

/** Calls `run` and gives what a runtime would see of it. */
export function callInMemory(plugin: Plugin, call: MemoryCall): MemoryAnswer {
  let stdout = ''
  let stderr = ''
  const io: Io = {
    env: name => call.env?.[name] ?? '',
    hasStdin: () => call.stdin !== undefined,
    stdin: limit => {
      if (call.failStdin !== undefined) throw call.failStdin
      return stdinBytes(call.stdin ?? '').subarray(0, limit)
    },
    stdout: text => {
      if (call.failStdout !== undefined) throw call.failStdout
      stdout += text
    },
    stderr: text => {
      stderr += text
    },
    execute: (path, command, stdin) => {
      if (call.execute === undefined) throw new Error(`execute ${path}: not expected in this test`)
      return call.execute(path, command, stdin)
    },
    executable: call.executable ?? '/proc/self/exe'
  }
  const builtins = (call.builtins ?? [plugin]).map(one => ({ name: one.name, make: () => one }))
  const status = withOwnStderr(io.stderr, () => run(plugin, builtins, io))
  return { status, stdout, stderr }
}

/** Runs `work` with this process' standard error in other hands: what is below a plugin's Io, as state and rules are, warns there. */
function withOwnStderr<T>(write: (text: string) => void, work: () => T): T {
  const before = process.stderr.write
  process.stderr.write = (text: string | Uint8Array): boolean => {
    write(String(text))
    return true
  }
  try {
    return work()
  } finally {
    process.stderr.write = before
  }
}

function stdinBytes(stdin: string | Uint8Array | object): Uint8Array {
  if (stdin instanceof Uint8Array) return stdin
  return new TextEncoder().encode(typeof stdin === 'string' ? stdin : JSON.stringify(stdin))
}

/** Any value as our JSON tree. */
export function toJson(value: unknown): Json {
  return parseJson(JSON.stringify(value))
}

/** A plugin that does nothing but what a test says. */
export function testPlugin(
  name: string,
  does: {
    readonly since?: string
    readonly add?: (request: Request) => Result
    readonly any?: (request: Request) => void
  } = {}
): Plugin {
  const any = does.any ?? (() => {})
  const add = (request: Request): Result => {
    if (does.add !== undefined) return does.add(request)
    any(request)
    return EMPTY_RESULT
  }
  return { name, givesAddresses: true, since: does.since ?? '0.1.0', add, del: any, check: any, gc: any, status: any }
}
