/** Runs built plugins as a runtime would, and tells what a runtime would see. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from './namespace.ts'

/** The engine whose executables are judged: `native` or `node`. */
export const ENGINE: string = process.env['PATCHBAY_ENGINE'] ?? ''

/** The directory of the built plugins. */
export function binDir(): string {
  const directory = process.env['PATCHBAY_BIN_DIR'] ?? ''
  if (directory === '') throw new Error('find the built plugins: PATCHBAY_BIN_DIR is not set; run this by npm test')
  return directory
}

/** The built plugins' names. */
export function builtPlugins(): readonly string[] {
  return readdirSync(binDir()).sort()
}

export interface Answer {
  /** 128 + n after signal n. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface BlackboxCall {
  /** All the plugin's variables, but for PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** A text, raw bytes, or an object to be written as JSON. */
  readonly stdin?: string | Uint8Array | object
  /** The namespace that stands for the host; ours when absent, for calls that touch nothing. */
  readonly host?: Namespace
  /** The directory of the plugin; that of the built ones when absent. */
  readonly directory?: string
}

/** Starts a plugin and waits for its end. */
export function callPlugin(name: string, call: BlackboxCall): Answer {
  const program = join(call.directory ?? binDir(), name)
  const [command, args] = call.host === undefined ? [program, []] : ['nsenter', [`--net=${call.host.path}`, program]]
  return runProgram(command, args, call)
}

/** Starts any program with the call's environment and input. */
export function runProgram(command: string, args: readonly string[], call: BlackboxCall): Answer {
  const child = spawnSync(command, [...args], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...call.env },
    input: inputOf(call.stdin ?? ''),
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 1 << 26
  })
  // EPIPE: the program ended before it read all its input, which it may.
  if (child.error !== undefined && !('code' in child.error && child.error.code === 'EPIPE')) throw child.error
  return { status: child.status ?? 128 + signalNumber(child.signal), stdout: child.stdout, stderr: child.stderr }
}

function inputOf(stdin: string | Uint8Array | object): string | Uint8Array {
  return typeof stdin === 'string' || stdin instanceof Uint8Array ? stdin : JSON.stringify(stdin)
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGPIPE: 13,
    SIGTERM: 15
  }
  return signal === null ? 0 : (numbers[signal] ?? 1)
}
