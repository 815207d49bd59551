/** Finding and running plugins from outside, as a runtime does. */
import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { errorFromJson } from '../cni/error.ts'
import { type Json, parseJson } from '../config/json.ts'
import { openPipe, type Pipe } from '../sys/pipe.ts'

/** What an error object says beside its message. */
interface Told {
  readonly details?: string
  readonly code?: number
}

/** A plugin failed, or could not be started. */
export class PluginError extends Error {
  /** The plugin's `type`. */
  readonly plugin: string
  readonly command: string
  /** Of the error object it printed; undefined when it printed none. */
  readonly code: number | undefined
  /** What to do, in the plugin's words or ours. */
  readonly details: string

  constructor(plugin: string, command: string, message: string, { details = '', code }: Told = {}) {
    super(message)
    this.name = 'PluginError'
    this.plugin = plugin
    this.command = command
    this.code = code
    this.details = details
  }
}

/** A plugin that is not in any of the directories: it has not been started. */
export class PluginMissing extends PluginError {}

/** What a call of a plugin left. */
export interface Execution {
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * The first executable file of that name.
 * @throws PluginMissing
 */
export function findPlugin(type: string, directories: readonly string[], command: string): string {
  for (const directory of directories) {
    const path = join(directory, type)
    if (directory !== '' && isExecutable(path)) return path
  }
  const where = directories.map(directory => JSON.stringify(directory)).join(', ')
  const advice = `install it there (patchbay install ${directories[0] ?? 'DIR'}), or name the directory that has it: --bin-dir DIR`
  throw new PluginMissing(
    type,
    command,
    `find plugin ${JSON.stringify(type)}: not in ${where === '' ? 'any directory' : where}`,
    { details: advice }
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const BUSY_TRIES = 50
const BUSY_PAUSE = 100

/**
 * Runs a program with exactly this environment beside our own, and this standard input.
 *
 * @param timeout milliseconds after which it is killed; never when 0
 */
export async function execute(
  path: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
  timeout = 0
): Promise<Execution> {
  for (let left = BUSY_TRIES; ; left -= 1) {
    try {
      return await executeOnce(path, env, stdin, timeout)
    } catch (error) {
      // An installer has the file open for writing at this moment.
      if (!isBusy(error) || left <= 0) throw error
      await pause(BUSY_PAUSE)
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ETXTBSY'
}

/**
 * The three streams are pipes of the kernel: Node's own are sockets, on which a shell plugin's `cat /dev/stdin` or
 * `echo > /dev/stdout` fails with ENXIO, where it works under every other runtime.
 */
function executeOnce(
  path: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
  timeout: number
): Promise<Execution> {
  const pipes: readonly Pipe[] = [openPipe(), openPipe(), openPipe()]
  const [input, output, errors] = pipes as readonly [Pipe, Pipe, Pipe]
  return new Promise((resolve, reject) => {
    const options = timeout > 0 ? { timeout, killSignal: 'SIGKILL' as const } : {}
    const stdio = [input.readEnd, output.writeEnd, errors.writeEnd]
    const child = spawn(path, [], { env: { ...process.env, ...env }, stdio, ...options })
    // With our copies of the child's ends closed, the child's end is the end of its output.
    for (const fd of stdio) closeSync(fd)
    const ended = new Promise<Pick<Execution, 'status' | 'signal'>>(done =>
      child.on('exit', (status, signal) => done({ status, signal }))
    )
    child.on('error', error => {
      for (const fd of [input.writeEnd, output.readEnd, errors.readEnd]) closeSync(fd)
      reject(error)
    })
    child.on('spawn', () => {
      const collected = [collect(output.readEnd), collect(errors.readEnd)]
      feed(input.writeEnd, stdin)
      Promise.all([ended, ...collected]).then(
        ([{ status, signal }, stdout = '', stderr = '']) => resolve({ status, signal, stdout, stderr }),
        reject
      )
    })
  })
}

function feed(fd: number, text: string): void {
  const stream = new Socket({ fd, readable: false, writable: true })
  // A plugin may fail before it has read its input.
  stream.on('error', () => stream.destroy())
  stream.end(text)
}

function collect(fd: number): Promise<string> {
  return textOf(new Socket({ fd, readable: true, writable: false }))
}

/**
 * The object that a plugin printed; undefined when it printed nothing.
 * @throws PluginError with the plugin's own code and words when it failed
 */
export function outputOf(execution: Execution, plugin: string, command: string): Json | undefined {
  const text = execution.stdout.trim()
  if (execution.status !== 0) throw failure(execution, text, plugin, command)
  if (text === '') return undefined
  try {
    return parseJson(text)
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new PluginError(
      plugin,
      command,
      `run plugin ${JSON.stringify(plugin)}: its output is no JSON object: ${cause}`
    )
  }
}

function failure(execution: Execution, text: string, plugin: string, command: string): PluginError {
  try {
    const error = errorFromJson(parseJson(text))
    if (error !== undefined) return new PluginError(plugin, command, error.message, error)
  } catch {
    // no error object: what there is of output is shown instead
  }
  const how = execution.signal === null ? `exit status ${String(execution.status)}` : `killed by ${execution.signal}`
  const said = (text === '' ? execution.stderr.trim() : text).slice(0, 500)
  const message = `run plugin ${JSON.stringify(plugin)}: ${how}${said === '' ? '' : `: ${said}`}`
  return new PluginError(plugin, command, message)
}
