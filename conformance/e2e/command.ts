/** Running programs and looking at what they said. */
import { spawnSync } from 'node:child_process'

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  /** Milliseconds; a program that takes longer is killed. */
  readonly timeout?: number
}

const PATIENCE_MS = 60_000

/** Runs a program to its end. */
export function outcomeOf(program: string, args: readonly string[], options: CommandOptions = {}): Outcome {
  const child = spawnSync(program, args, {
    encoding: 'utf8',
    input: options.input ?? '',
    env: { ...process.env, ...options.env },
    timeout: options.timeout ?? PATIENCE_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28
  })
  const isTimeout = child.error !== undefined && 'code' in child.error && child.error.code === 'ETIMEDOUT'
  if (child.error !== undefined && !isTimeout) throw new Error(`run ${program}: ${child.error.message}`)
  const stderr = isTimeout ? `${child.stderr}(killed: it took too long)` : child.stderr
  return { status: child.status ?? 255, stdout: child.stdout, stderr }
}

/**
 * Runs a program that must succeed.
 * @returns its standard output
 * @throws Error with what it said
 */
export function run(program: string, args: readonly string[], options: CommandOptions = {}): string {
  const outcome = outcomeOf(program, args, options)
  if (outcome.status === 0) return outcome.stdout
  const said = `${outcome.stderr}${outcome.stdout}`.trim()
  throw new Error(`${program} ${args.join(' ')}: exit ${outcome.status}: ${said}`)
}

/** Runs a program inside another network namespace. */
export function runIn(netns: string, program: string, args: readonly string[], options: CommandOptions = {}): Outcome {
  return outcomeOf('nsenter', [`--net=${netns}`, program, ...args], options)
}

/** Asks again and again until the answer is there. @throws Error after `milliseconds` */
export async function until<T>(
  what: string,
  milliseconds: number,
  ask: () => T | undefined | Promise<T | undefined>
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error(`wait for ${what}: not within ${milliseconds} ms`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
