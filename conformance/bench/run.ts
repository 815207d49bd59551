/** Runs scenarios: contestants take turns within every round, and the order turns round with every round. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { closeCall, peakMemory, run, timedCall } from './measure.ts'
import { type Contestant, command, type Round, type Scenario, Stage } from './scenario.ts'
import { MEMORY_TYPES, memoryChain } from './scenarios.ts'
import { type Sample, sampleOf } from './statistics.ts'

/** Results of one scenario: per contestant either samples by measure, or why there are none. */
export interface ScenarioResult {
  readonly id: string
  readonly title: string
  readonly group: string
  readonly contestants: Readonly<Record<string, ContestantResult>>
}

export type ContestantResult =
  | { readonly state: 'measured'; readonly samples: Readonly<Record<string, Sample>> }
  | { readonly state: 'absent' | 'failed'; readonly why: string }

const WARM_UPS = 2

/** Which of the plugins a contestant lacks; '' when it has them all. */
function lacking(scenario: Scenario, { dir }: Contestant): string {
  return scenario.needs.filter(name => !existsSync(join(dir, name))).join(', ')
}

interface Runner {
  readonly contestant: Contestant
  readonly stage: Stage
  readonly round: () => Round
  readonly rounds: Round[]
}

let serial = 0

export function runScenario(scenario: Scenario, contestants: readonly Contestant[], runs: number): ScenarioResult {
  const results: Record<string, ContestantResult> = {}
  const runners: Runner[] = []
  for (const contestant of contestants) {
    const missing = lacking(scenario, contestant)
    const skipped = scenario.withoutReference === true && contestant.name === 'reference'
    if (missing !== '' || skipped) {
      results[contestant.name] = { state: 'absent', why: skipped ? 'takes minutes to prepare' : `no ${missing}` }
      continue
    }
    serial += 1
    const stage = new Stage(contestant, serial)
    try {
      runners.push(startRunner(scenario, contestant, stage))
    } catch (error) {
      results[contestant.name] = { state: 'failed', why: messageOf(error) }
      stage.close()
    }
  }
  const count = scenario.slow === true ? Math.max(5, Math.ceil(runs / 5)) : runs
  for (let i = 0; i < count; i += 1) {
    for (const runner of i % 2 === 0 ? runners : [...runners].reverse()) {
      if (results[runner.contestant.name] !== undefined) continue
      try {
        runner.rounds.push(runner.stage.host.inside(runner.round))
      } catch (error) {
        results[runner.contestant.name] = { state: 'failed', why: messageOf(error) }
      }
    }
  }
  for (const { contestant, stage, rounds } of runners) {
    results[contestant.name] ??= { state: 'measured', samples: samplesOf(rounds) }
    stage.close()
  }
  return { id: scenario.id, title: scenario.title, group: scenario.group, contestants: results }
}

function startRunner(scenario: Scenario, contestant: Contestant, stage: Stage): Runner {
  const round = stage.host.inside(() => scenario.prepare(stage))
  for (let i = 0; i < WARM_UPS; i += 1) stage.host.inside(round)
  return { contestant, stage, round, rounds: [] }
}

function samplesOf(rounds: readonly Round[]): Readonly<Record<string, Sample>> {
  const measures = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(
    measures.map(measure => [measure, sampleOf(rounds.map(round => round[measure] ?? Number.NaN))])
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Peak memory of the plugin process itself in ADD, KiB, by plugin; the highest of three runs. */
export function memoryOf(contestant: Contestant): Readonly<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const type of MEMORY_TYPES) {
    if (!existsSync(join(contestant.dir, type))) continue
    serial += 1
    const stage = new Stage(contestant, serial)
    try {
      found[type] = stage.host.inside(() => memoryOfAdd(stage, type))
    } catch {
      // It doesn't run on this kernel: the scenario's own row says why.
    } finally {
      stage.close()
    }
  }
  return found
}

function memoryOfAdd(stage: Stage, type: string): number {
  const { chain, attachment } = memoryChain(stage, type)
  const peaks: number[] = []
  for (let i = 0; i < 3; i += 1) {
    chain.add(attachment)
    const last = chain.last
    chain.del(attachment)
    // The same ADD once more, under observation: first whatever comes before the plugin in the chain.
    for (let index = 0; index < chain.length - 1; index += 1) chain.addOne(index, attachment)
    if (last === undefined) throw new Error('measure memory: nothing was run')
    peaks.push(peakMemory(last))
    chain.del(attachment)
  }
  return Math.max(...peaks)
}

/** Size in bytes of the files behind a contestant's plugins; files that are links to one another count once. */
export function fileSizes(contestant: Contestant): { readonly largest: number; readonly all: number } {
  const inodes = new Map<number, number>()
  for (const name of MEMORY_TYPES) {
    const path = join(contestant.dir, name)
    if (!existsSync(path)) continue
    const { ino, size } = statSync(path)
    inodes.set(ino, size)
  }
  const sizes = [...inodes.values()]
  return { largest: Math.max(0, ...sizes), all: sizes.reduce((total, size) => total + size, 0) }
}

/** The bare start of the Node that runs this, with an empty program: the floor under the Node engine. */
export function bareNode(runs: number): Sample {
  const env = { PATH: '/usr/bin:/bin', NODE_NO_WARNINGS: '1' }
  const call = timedCall('node', process.execPath, env, '', ['-e', '0'])
  for (let i = 0; i < WARM_UPS; i += 1) run(call)
  const times = Array.from({ length: runs }, () => run(call).milliseconds)
  closeCall(call)
  return sampleOf(times)
}

/** What the numbers belong to. */
export function machine(): Readonly<Record<string, string>> {
  const kernel = command('uname', '-srm').trim()
  const model = /^model name\s*: (.*)$/m.exec(command('cat', '/proc/cpuinfo'))?.[1] ?? 'unknown'
  const processors = command('nproc').trim()
  return {
    kernel,
    processor: `${processors} x ${model}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10)
  }
}
