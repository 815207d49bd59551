/**
 * `npm run e2e`: real container runtimes on our plugins.
 *
 *     npm run e2e -- [--plugins native,node,reference] [--only TEXT]... [--jobs N] [--list]
 *
 * Each suite has a host to itself (own network, mounts, processes). What this machine lacks for a suite is named in a
 * `not run:` line; with CI=true or PATCHBAY_STRICT=1 each such line is a failure.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { presentGroups, removeNewGroups } from './e2e/control-groups.ts'
import { furnish, type PluginSet } from './e2e/host.ts'
import { makeImages } from './e2e/image.ts'
import { missing } from './e2e/needs.ts'
import { fetchSecondContainerd } from './e2e/second-containerd.ts'
import { type CaseResult, runSuite, type Suite } from './e2e/suite.ts'
import { SUITES } from './e2e/suites/all.ts'
import { isInside, sandboxCommand, sandboxEnvironment, whyNoSandbox } from './sandbox.ts'

const SETS: readonly PluginSet[] = ['native', 'node', 'reference']
/** A suite mostly waits for the kernel and for containers to end. */
const DEFAULT_JOBS = 2

interface Job {
  readonly suite: Suite
  readonly set: PluginSet
}

interface Options {
  readonly sets: readonly PluginSet[]
  readonly only: readonly string[]
  readonly jobs: number
  readonly list: boolean
}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      plugins: { type: 'string' },
      only: { type: 'string', multiple: true },
      jobs: { type: 'string' },
      list: { type: 'boolean' }
    }
  })
  const named = values.plugins?.split(',') ?? []
  const unknown = named.find(name => !SETS.some(set => set === name))
  if (unknown !== undefined) throw new Error(`read --plugins: ${JSON.stringify(unknown)} is none of ${SETS.join(', ')}`)
  const jobs = Number(values.jobs ?? DEFAULT_JOBS)
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`read --jobs: a whole number expected, got ${values.jobs}`)
  return { sets: SETS.filter(set => named.includes(set)), only: values.only ?? [], jobs, list: values.list === true }
}

function plan(options: Options): readonly Job[] {
  const all = SUITES.flatMap(suite => {
    const sets = options.sets.length > 0 ? options.sets : suite.sets
    return sets.map(set => ({ suite, set }))
  })
  const isChosen = ({ suite, set }: Job) =>
    options.only.length === 0 || options.only.some(text => `${suite.name} [${set}]`.includes(text))
  return all.filter(isChosen)
}

/** Counts results and prints each. */
class Report {
  readonly #strict = process.env['CI'] === 'true' || process.env['PATCHBAY_STRICT'] === '1'
  passed = 0
  failed = 0

  result(one: CaseResult): void {
    const isHeld = one.problem === ''
    if (isHeld) this.passed += 1
    else this.failed += 1
    const what = `${one.suite} [${one.set}]: ${one.name}`
    process.stdout.write(
      `${(isHeld ? 'ok' : 'FAIL').padEnd(4)} ${what.padEnd(104)} ${(one.milliseconds / 1000).toFixed(1).padStart(5)} s\n`
    )
    if (!isHeld) process.stdout.write(`${one.problem.replace(/^/gm, '     | ')}\n`)
  }

  notRun(what: string, why: string): void {
    process.stdout.write(`not run: ${what}: ${why}\n`)
    if (this.#strict) this.failed += 1
  }
}

/** Runs one suite in a host of its own. */
function runJob(job: Job): Promise<readonly CaseResult[]> {
  // A shell is process 1 of the host: it reaps what containers leave, and a second command keeps it from becoming node.
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh']
  const program = [process.execPath, '--no-warnings', import.meta.filename, '--inside', job.suite.name, job.set]
  const [command = '', ...argv] = sandboxCommand([...shell, ...program])
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { env: sandboxEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
    const results: CaseResult[] = []
    let said = ''
    createInterface({ input: child.stdout }).on('line', line => {
      if (!line.startsWith('{"suite":')) {
        said += `${line}\n`
        return
      }
      results.push(JSON.parse(line))
    })
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', status => {
      if (status !== 0 || results.length === 0) {
        const problem = `the suite ended with exit ${status} after ${results.length} results\n${said.trimEnd()}`
        results.push({ suite: job.suite.name, set: job.set, name: 'runs to its end', milliseconds: 0, problem })
      }
      resolve(results)
    })
  })
}

/** The part that runs in the sandbox: results go out as JSON lines. */
async function inside(name: string, set: PluginSet): Promise<void> {
  const suite = SUITES.find(one => one.name === name)
  if (suite === undefined) throw new Error(`run suite ${JSON.stringify(name)}: there is none`)
  furnish()
  await runSuite(suite, set, result => process.stdout.write(`${JSON.stringify(result)}\n`))
}

async function main(argv: readonly string[]): Promise<number> {
  const [mark, name, set] = argv
  if (isInside() && mark === '--inside' && name !== undefined) {
    const chosen = SETS.find(one => one === set)
    if (chosen === undefined) throw new Error(`run suite ${name}: no plugins ${JSON.stringify(set)}`)
    await inside(name, chosen)
    return 0
  }
  const options = readOptions(argv)
  const jobs = plan(options)
  if (jobs.length === 0) throw new Error('read --only: no suite is called so; see --list')
  if (options.list) {
    for (const job of jobs) process.stdout.write(`${job.suite.name} [${job.set}]\n`)
    return 0
  }
  const why = whyNoSandbox()
  if (why !== undefined) throw new Error(`run e2e: ${why}`)
  return runAll(jobs, options.jobs)
}

async function runAll(jobs: readonly Job[], atOnce: number): Promise<number> {
  const started = Date.now()
  const report = new Report()
  if (jobs.some(job => job.suite.needs.includes('containerd-2'))) fetchSecondContainerd()
  const waiting = jobs.filter(job => {
    const lack = missing(job.suite.needs, job.set)
    if (lack !== undefined) report.notRun(`${job.suite.name} [${job.set}]`, lack)
    return lack === undefined
  })
  if (waiting.length > 0) makeImages()
  const groups = presentGroups()
  const worker = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      for (const result of await runJob(job)) report.result(result)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  removeNewGroups(groups)
  if (report.passed === 0) report.failed = Math.max(report.failed, 1)
  process.stdout.write(
    `${report.passed} passed, ${report.failed} failed (${((Date.now() - started) / 1000).toFixed(0)} s)\n`
  )
  return report.failed === 0 ? 0 : 1
}

try {
  // What is inside may hold handles open (a killed runtime's sockets): the results are out, so end.
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
