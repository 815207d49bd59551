/**
 * `npm run fuzz`: inputs nobody has tried, for everything that reads what others wrote, and calls of both engines' executables
 * beside the source.
 *
 *     npm run fuzz -- [--inputs N] [--seed N] [--target NAME] [--jobs N]
 *
 * The seed is printed, and with the same --jobs repeats the run. What is found is kept in fuzz/testdata, where every test run
 * replays it.
 */
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { ROOT } from '../build/project.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { ENGINE_TARGET } from './engine-calls.ts'
import { type Finding, keep } from './findings.ts'
import { TARGETS } from './targets.ts'
import type { Order, Progress } from './worker.ts'

withPrivateMounts(import.meta.filename, process.argv.slice(2))

/** Seconds for one input, of which most take a thousandth of a millisecond. */
const PATIENCE = 60
/** Of one target; what is found over and over is one fault. */
const MOST_FINDINGS = 5

class Run {
  readonly #started = Date.now()
  readonly #wanted: number
  readonly #found = new Map<string, number>()
  readonly #counts: number[]

  constructor(wanted: number, jobs: number) {
    this.#wanted = wanted
    this.#counts = Array.from({ length: jobs }, () => 0)
  }

  done(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  findings(): number {
    return [...this.#found.values()].reduce((sum, count) => sum + count, 0)
  }

  count(job: number, inputs: number): void {
    this.#counts[job] = inputs
  }

  add(finding: Finding): void {
    const before = this.#found.get(finding.target) ?? 0
    this.#found.set(finding.target, before + 1)
    if (before >= MOST_FINDINGS) return
    const where = finding.input.length === 0 ? '' : `kept as ${relative(ROOT, keep(finding))}\n`
    process.stdout.write(`\nfound: ${finding.target}\n${where}${finding.why}\n`)
  }

  tell(): void {
    const seconds = Math.round((Date.now() - this.#started) / 1000)
    process.stdout.write(`${this.done()} of ${this.#wanted} inputs, ${this.findings()} findings, ${seconds} s\n`)
  }
}

/** One thread with its share of the inputs. It is given up when an input takes too long. */
async function work(run: Run, order: Order): Promise<void> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: order })
  const { promise, resolve } = Promise.withResolvers<void>()
  let current: Progress = { inputs: 0, target: '', input: new Uint8Array(0) }
  let heard = Date.now()
  const watch = setInterval(() => {
    if (Date.now() - heard < PATIENCE * 1000) return
    clearInterval(watch)
    const why = `no answer within ${PATIENCE} s, in the thousand inputs behind this one`
    run.add({ target: current.target, input: current.input, why })
    void worker.terminate()
  }, 1000)
  worker.on('message', (message: Progress | Finding) => {
    heard = Date.now()
    if ('why' in message) return run.add(message)
    current = message
    run.count(order.job, message.inputs)
  })
  worker.on('error', error => run.add({ target: 'worker', input: new Uint8Array(0), why: String(error) }))
  worker.on('exit', () => {
    clearInterval(watch)
    resolve()
  })
  return await promise
}

async function main(): Promise<number> {
  const options = {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string' },
    jobs: { type: 'string', default: String(availableParallelism()) }
  } as const
  const { values } = parseArgs({ options })
  const names = [...TARGETS.map(({ name }) => name), ENGINE_TARGET]
  const { target } = values
  if (target !== undefined && !names.includes(target)) {
    process.stderr.write(`no target ${JSON.stringify(target)}: there are ${names.join(', ')}\n`)
    return 2
  }
  const [inputs, seed, jobs] = [Number(values.inputs), Number(values.seed), Number(values.jobs)]
  process.stdout.write(
    `fuzz: ${inputs} inputs, --seed ${seed} --jobs ${jobs}; targets: ${target ?? names.join(', ')}\n`
  )
  const run = new Run(inputs, jobs)
  const telling = setInterval(() => run.tell(), 10_000)
  const share = Math.ceil(inputs / jobs)
  await Promise.all(
    Array.from({ length: jobs }, (_, job) => work(run, { job, inputs: share, seed: seed + job, target }))
  )
  clearInterval(telling)
  run.tell()
  return run.findings() === 0 && run.done() >= inputs ? 0 : 1
}

process.exitCode = await main()
