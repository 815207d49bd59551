/** Deals the cases out to workers; one that hangs or dies is replaced, and its case has failed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { NEVER_WORKED } from './gate.ts'
import type { CaseResult } from './run-case.ts'
import { sandboxCommand, sandboxEnvironment } from './sandbox.ts'
import { selfCommand } from './self.ts'
import type { Job } from './worker.ts'

export interface PlannedJob {
  readonly job: Job
  /** Index of the plugin set it belongs to. */
  readonly set: number
  readonly clause: string
  readonly seconds: number
  /** Finds out whether the plugin's ADD works at all: if not, its other cases are blocked. */
  readonly isGate?: boolean
}

/**
 * Runs all jobs, `workers` at a time, and hands each result to `done` as it comes.
 * @param keep folders that must stay visible inside the sandboxes
 */
export async function runJobs(
  jobs: readonly PlannedJob[],
  workers: number,
  keep: readonly string[],
  done: (planned: PlannedJob, result: CaseResult) => void
): Promise<void> {
  const waiting = [...jobs]
  const gates = new Gates(jobs)
  const one = async () => {
    let worker: Worker | undefined
    for (;;) {
      const next = waiting.shift()
      if (next === undefined) break
      const blocked = await gates.wait(next)
      if (blocked !== undefined) {
        done(next, blocked)
        continue
      }
      worker ??= await Worker.start(keep)
      const result = await worker.run(next)
      if (worker.ended) worker = undefined
      gates.tell(next, result)
      done(next, result)
    }
    worker?.stop()
  }
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, one))
}

function subjectOf({ set, job }: PlannedJob): string {
  return `${set}/${job.plugin}`
}

/** Holds the cases of a plugin back until its gate is through. Gates stand before them, so that nobody waits for ever. */
class Gates {
  readonly #open = new Map<string, PromiseWithResolvers<boolean>>()

  constructor(jobs: readonly PlannedJob[]) {
    for (const job of jobs) if (job.isGate === true) this.#open.set(subjectOf(job), Promise.withResolvers())
  }

  /** @returns what comes of a case whose plugin's gate is shut */
  async wait(planned: PlannedJob): Promise<CaseResult | undefined> {
    const gate = planned.isGate === true ? undefined : this.#open.get(subjectOf(planned))
    if (gate === undefined || (await gate.promise)) return undefined
    const { caseId, plugin } = planned.job
    return { caseId, plugin, verdict: 'blocked', why: NEVER_WORKED, findings: [], judged: [], milliseconds: 0 }
  }

  tell(planned: PlannedJob, { verdict }: CaseResult): void {
    if (planned.isGate === true)
      this.#open.get(subjectOf(planned))?.resolve(verdict !== 'failed' && verdict !== 'error')
  }
}

class Worker {
  readonly #child: ChildProcess
  ended = false

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('exit', () => {
      this.ended = true
    })
  }

  static async start(keep: readonly string[]): Promise<Worker> {
    const [command = '', ...args] = sandboxCommand(selfCommand(['--worker', ...keep]))
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: sandboxEnvironment() })
    const worker = new Worker(child)
    const first = await worker.#next(30_000)
    if (first !== 'ready') throw new Error('start worker: it ended at once; see its message above')
    return worker
  }

  /** The next message; undefined when it ended or said nothing in time. */
  #next(milliseconds: number): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => resolve(undefined), milliseconds)
    const onMessage = (message: unknown) => resolve(message)
    const onExit = () => resolve(undefined)
    this.#child.once('message', onMessage)
    this.#child.once('exit', onExit)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#child.off('message', onMessage)
      this.#child.off('exit', onExit)
    })
  }

  async run(planned: PlannedJob): Promise<CaseResult> {
    const { job, seconds, clause } = planned
    this.#child.send(job)
    const message = await this.#next(seconds * 1000)
    if (message !== undefined) return message as CaseResult
    const seen = this.ended ? 'the worker ended' : `no end after ${seconds} s`
    this.stop()
    return {
      caseId: job.caseId,
      plugin: job.plugin,
      verdict: 'failed',
      why: '',
      findings: [{ clause, expected: 'the case ends', seen, call: '' }],
      judged: [clause],
      milliseconds: seconds * 1000
    }
  }

  stop(): void {
    this.ended = true
    if (this.#child.connected) this.#child.disconnect()
    // unshare takes its child along only when it is killed itself.
    this.#child.kill('SIGKILL')
  }
}
