/** Runs scenarios: contestants take turns within every round, and the order turns round with every round. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { instructionMeter } from './callgrind.ts'
import { messageOf } from './failure.ts'
import { whyNoKind } from './link-kinds.ts'
import { bareNodeCall, closeCall, type Meter, measuredBy, peakMemory, run, timedCall } from './measure.ts'
import { type Contestant, command, type Round, type Scenario, Stage } from './scenario.ts'
import { memoryChain, PLUGINS } from './scenarios.ts'
import { type Sample, sampleOf } from './statistics.ts'
import { type Counts, programMeter, systemCallMeter } from './strace.ts'
import { hasTarget } from './targets.ts'

/** Results of one scenario: per contestant either samples by measure, or why there are none. */
export interface ScenarioResult {
  readonly id: string
  readonly title: string
  readonly group: string
  readonly contestants: Readonly<Record<string, ContestantResult>>
}

export interface Measured {
  readonly state: 'measured'
  readonly samples: Readonly<Record<string, Sample>>
  /** By measure; empty where they were not counted. */
  readonly calls: Readonly<Record<string, Counts>>
  /** Why a measure has no number. */
  readonly missing: Readonly<Record<string, string>>
}

export type ContestantResult =
  | Measured
  | { readonly state: 'absent' | 'failed' | 'not measurable'; readonly why: string }

export interface RunOptions {
  readonly runs: number
  /** The path of strace; undefined: nothing is counted. */
  readonly strace: string | undefined
  /** The path of valgrind; undefined: instructions are not counted. */
  readonly valgrind: string | undefined
}

const NODE = 'node'
const ENGINES: readonly string[] = ['reference', 'native', NODE]
/** Go's programs do not run under valgrind, and Node's start alone would take a minute there. */
const WITHOUT_INSTRUCTIONS: readonly string[] = ['reference', NODE]

const WARM_UPS = 2
/** Of others' rounds the Node engine takes part in every third: its time is Node's start, which differs little and takes longest. */
const NODE_PAUSES = 3
/** Counts of system calls differ by a retry or a timer at most, those of programs not at all. */
const SYSTEM_CALL_ROUNDS = 3
const PROGRAM_ROUNDS = 1
const INSTRUCTION_ROUNDS = 1

/** Why a contestant cannot take part. */
function whyNot(scenario: Scenario, { name, dir }: Contestant): ContestantResult | undefined {
  const lacking = scenario.needs.filter(plugin => !existsSync(join(dir, plugin))).join(', ')
  if (lacking !== '') return { state: 'absent', why: `no ${lacking}` }
  if (scenario.withoutReference === true && name === 'reference') {
    return { state: 'absent', why: 'takes minutes to prepare' }
  }
  if (scenario.whyOnly !== undefined && isForOthers(scenario, name)) return { state: 'absent', why: scenario.whyOnly }
  const why = scenario.kind === undefined ? undefined : whyNoKind(scenario.kind)
  return why === undefined ? undefined : { state: 'not measurable', why }
}

/** Sets that were named on the command line are tried. */
function isForOthers({ onlyFor }: Scenario, name: string): boolean {
  return onlyFor !== undefined && ENGINES.includes(name) && name !== onlyFor
}

interface Runner {
  readonly contestant: Contestant
  readonly stage: Stage
  round: () => Round
  readonly rounds: Round[]
  calls: Readonly<Record<string, Counts>>
}

export function runScenario(
  scenario: Scenario,
  all: readonly Contestant[],
  { runs, strace, valgrind }: RunOptions
): ScenarioResult {
  const contestants = all.filter(
    ({ name, takesPart }) =>
      (takesPart?.(scenario.id) ?? true) && (scenario.whyOnly !== undefined || !isForOthers(scenario, name))
  )
  const results: Record<string, ContestantResult> = {}
  const runners: Runner[] = []
  /** A failure ends one contestant's part and nobody else's. */
  const guarded = (contestant: Contestant, body: () => void) => {
    if (results[contestant.name] !== undefined) return
    try {
      body()
    } catch (error) {
      results[contestant.name] = { state: 'failed', why: messageOf(error) }
    }
  }
  for (const contestant of contestants) {
    const why = whyNot(scenario, contestant)
    if (why !== undefined) results[contestant.name] = why
    guarded(contestant, () => {
      const stage = new Stage(contestant)
      const runner: Runner = { contestant, stage, round: () => ({}), rounds: [], calls: {} }
      runners.push(runner)
      runner.round = startRunner(scenario, stage)
    })
  }
  for (let i = 0; i < roundsOf(scenario, runs); i += 1) {
    for (const { contestant, stage, round, rounds } of i % 2 === 0 ? runners : [...runners].reverse()) {
      if (pauses(scenario, contestant, i)) continue
      guarded(contestant, () => rounds.push(stage.inside(round)))
    }
  }
  for (const runner of runners) {
    guarded(runner.contestant, () => {
      if (scenario.counted && strace !== undefined) runner.calls = countCalls(runner, strace, valgrind)
      results[runner.contestant.name] = summaryOf(runner)
    })
  }
  for (const { stage } of runners) closeStage(stage)
  return { id: scenario.id, title: scenario.title, group: scenario.group, contestants: results }
}

/** A median of half as many runs tells as much as anybody asks of a row that has no target. */
function roundsOf({ id, slow, fewRuns }: Scenario, runs: number): number {
  const wanted = hasTarget(id) ? runs : Math.max(5, Math.ceil(runs / 2))
  const count = slow === true ? Math.max(5, Math.ceil(runs / 5)) : wanted
  return Math.min(runs, count, fewRuns ?? count)
}

function pauses({ onlyFor }: Scenario, { name }: Contestant, round: number): boolean {
  return name === NODE && onlyFor !== NODE && round % NODE_PAUSES !== 0
}

/** What cannot be taken away goes with the sandbox. */
export function closeStage(stage: Stage): void {
  try {
    stage.close()
  } catch (error) {
    process.stderr.write(`close ${stage.id}: ${messageOf(error)}\n`)
  }
}

function startRunner(scenario: Scenario, stage: Stage): () => Round {
  const round = stage.inside(() => scenario.prepare(stage))
  for (let i = 0; i < (scenario.fewRuns === undefined ? WARM_UPS : 1); i += 1) stage.inside(round)
  return round
}

/** The numbers of a measure over all rounds, and the first reason for one that is missing. */
function collected(rounds: readonly Round[], measure: string) {
  const values = rounds.map(round => round[measure])
  return {
    numbers: values.filter(value => typeof value === 'number'),
    why: values.find(value => typeof value === 'string')
  }
}

function summaryOf({ rounds, calls }: Runner): Measured {
  const samples: Record<string, Sample> = {}
  const missing: Record<string, string> = {}
  for (const measure of Object.keys(rounds[0] ?? {})) {
    const { numbers, why } = collected(rounds, measure)
    if (numbers.length > 0) samples[measure] = sampleOf(numbers)
    if (why !== undefined) missing[measure] = why
  }
  return { state: 'measured', samples, calls, missing }
}

/** The same rounds a few times more, counted instead of timed. */
function countCalls(runner: Runner, strace: string, valgrind: string | undefined): Readonly<Record<string, Counts>> {
  const { stage, round, contestant } = runner
  const rounds = (meter: Meter, length: number) =>
    measuredBy(meter, () => Array.from({ length }, () => stage.inside(round)))
  const systemCalls = rounds(systemCallMeter(strace), SYSTEM_CALL_ROUNDS)
  const programs = rounds(programMeter(strace), PROGRAM_ROUNDS)
  const isCounted = valgrind !== undefined && !WITHOUT_INSTRUCTIONS.includes(contestant.name)
  const instructions = isCounted ? wherePossible(() => rounds(instructionMeter(valgrind), INSTRUCTION_ROUNDS)) : []
  const counts: Record<string, Counts> = {}
  for (const measure of Object.keys(systemCalls[0] ?? {})) {
    const ofCalls = collected(systemCalls, measure).numbers
    const ofPrograms = collected(programs, measure).numbers
    const computed = collected(instructions, measure).numbers
    if (ofCalls.length === 0 || ofPrograms.length === 0) continue
    counts[measure] = {
      systemCalls: sampleOf(ofCalls).median,
      programs: sampleOf(ofPrograms).median,
      instructions: computed.length === 0 ? undefined : sampleOf(computed).median
    }
  }
  return counts
}

/** Go's programs do not run under valgrind: they have times and no instructions, instead of nothing at all. */
function wherePossible(count: () => readonly Round[]): readonly Round[] {
  try {
    return count()
  } catch {
    return []
  }
}

/** Peak memory of the plugin process itself in ADD, KiB, by plugin; the highest of three runs. */
export function memoryOf(contestant: Contestant): Readonly<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const type of PLUGINS) {
    if (!existsSync(join(contestant.dir, type))) continue
    let stage: Stage | undefined
    try {
      const made = new Stage(contestant)
      stage = made
      found[type] = made.inside(() => memoryOfAdd(made, type))
    } catch {
      // It doesn't run on this kernel: the scenario's own row says why.
    } finally {
      if (stage !== undefined) closeStage(stage)
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
    for (let index = 0; index < chain.all.length - 1; index += 1) chain.addOne(index, attachment)
    if (last === undefined) throw new Error('measure memory: nothing was run')
    peaks.push(peakMemory(last))
    chain.del(attachment)
  }
  return Math.max(...peaks)
}

/** Size in bytes of the files behind a contestant's plugins; files that are links to one another count once. */
export function fileSizes(contestant: Contestant): { readonly largest: number; readonly all: number } {
  const inodes = new Map<number, number>()
  for (const name of PLUGINS) {
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
  const call = bareNodeCall()
  for (let i = 0; i < WARM_UPS; i += 1) run(call)
  const times = Array.from({ length: runs }, () => run(call).amount)
  closeCall(call)
  return sampleOf(times)
}

/** The start of the command: `network ls` where there are no networks. */
export function commandStart(program: string, runs: number): Sample | undefined {
  if (!existsSync(program)) return undefined
  const nowhere = '/nonexistent/patchbay'
  const argv = ['network', 'ls', '--conf-dir', nowhere, '--cache-dir', nowhere]
  const call = timedCall('patchbay', [program, ...argv], { PATH: '/usr/bin:/bin' }, '')
  for (let i = 0; i < WARM_UPS; i += 1) run(call)
  const times = Array.from({ length: runs }, () => run(call).amount)
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
