/** One call of a plugin: every byte in and out is the judge's own business. */
import { isObject, type JsonObject, parsed } from './json.ts'
import { runPiped } from './piped.ts'

export type Environment = Readonly<Record<string, string>>

export interface PluginCall {
  readonly path: string
  readonly env: Environment
  readonly stdin: string | Uint8Array
  /** Put in front, such as strace with its options. */
  readonly wrapper?: readonly string[]
  readonly timeoutMs?: number
}

export interface Outcome {
  readonly call: PluginCall
  /** Exit status; undefined when a signal ended it. */
  readonly status: number | undefined
  readonly signal: string | undefined
  readonly timedOut: boolean
  /** Whether a process that it left behind holds its stdout or stderr. */
  readonly isHeld: boolean
  readonly stdout: string
  readonly stderr: string
}

const TIMEOUT_MS = 15_000

export function callPlugin(call: PluginCall): Outcome {
  const [command = call.path, ...args] = [...(call.wrapper ?? []), call.path]
  const ended = runPiped({
    path: command,
    args,
    env: call.env,
    input: Buffer.from(call.stdin),
    timeoutMs: call.timeoutMs ?? TIMEOUT_MS
  })
  return { call, ...ended }
}

export function succeeded(outcome: Outcome): boolean {
  return outcome.status === 0
}

/** What the plugin printed, when it is one JSON object and nothing else. */
export function printed(outcome: Outcome): JsonObject | undefined {
  const value = parsed(outcome.stdout)
  return isObject(value) ? value : undefined
}

/**
 * The error object of a call that failed: on stdout, or, as the text's overview has it since 1.0.0, alone on stderr.
 * Which of the two it has to be is for `error.object` and `error.on-stdout` to say.
 */
export function errorBody(outcome: Outcome): JsonObject | undefined {
  if (succeeded(outcome)) return undefined
  const onStderr = outcome.stdout.trim() === '' ? parsed(outcome.stderr) : undefined
  return printed(outcome) ?? (isObject(onStderr) ? onStderr : undefined)
}

/** The error code the plugin gave; undefined when it succeeded or printed no error object. */
export function errorCode(outcome: Outcome): number | undefined {
  const code = errorBody(outcome)?.['code']
  return typeof code === 'number' ? code : undefined
}

const SHOWN = 400

function short(text: string): string {
  const flat = text.trim().replaceAll(/\s+/g, ' ')
  return flat.length > SHOWN ? `${flat.slice(0, SHOWN)}...` : flat
}

/** How a call ended, in one line. */
export function describeOutcome(outcome: Outcome): string {
  const end = outcome.timedOut
    ? 'killed after it had not ended in time'
    : outcome.signal === undefined
      ? `exit ${outcome.status}`
      : `killed by ${outcome.signal}`
  const out = outcome.stdout.trim() === '' ? 'nothing on stdout' : `stdout ${short(outcome.stdout)}`
  const err = outcome.stderr.trim() === '' ? '' : `, stderr ${short(outcome.stderr)}`
  return `${end}, ${out}${err}`
}

function quoted(text: string): string {
  return /^[A-Za-z0-9_./:=,@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** The call as a line for a shell. */
export function shellLine(call: PluginCall): string {
  const input = typeof call.stdin === 'string' ? call.stdin : Buffer.from(call.stdin).toString('latin1')
  const shown = input.length > 4000 ? `${input.slice(0, 4000)}...(${input.length} bytes)` : input
  const env = Object.entries(call.env).map(([name, value]) => `${name}=${quoted(value)}`)
  return `printf %s ${quoted(shown)} | ${['env', '-i', ...env, ...(call.wrapper ?? []), call.path].join(' ')}`
}
