/** Loads paths with traffic: in turns, a short visit to each in every round. */
import { join } from 'node:path'
import { type Prepared, prepare, spawn, wait } from '../libc.ts'
import { messageOf } from './failure.ts'
import { whyNoKind } from './link-kinds.ts'
import { errorsOf, outputOf, run, type TimedCall, timedCall } from './measure.ts'
import type { PathScenario, Route, Subject } from './path.ts'
import { closeStage } from './run.ts'
import { type Contestant, Stage } from './scenario.ts'
import { type Estimate, estimateOf, type Sample, sampleOf } from './statistics.ts'
import type { Traffic } from './traffic.ts'

export type TrafficMeasure = keyof Traffic

const TRAFFIC_MEASURES: readonly TrafficMeasure[] = ['throughput', 'latency', 'connection']

export interface PathResult {
  readonly id: string
  readonly title: string
  /** In order; the first measured one is what the others are compared with. */
  readonly subjects: readonly SubjectResult[]
}

export interface SubjectResult {
  readonly name: string
  /** Empty when there is a reason. */
  readonly samples: Readonly<Partial<Record<TrafficMeasure, Sample>>>
  /** To the first subject: each round's own ratio, so that what troubles a whole round cancels out. */
  readonly ratios: Readonly<Partial<Record<TrafficMeasure, Estimate>>>
  readonly why?: string
}

/** One visit: a quarter of it goes to latency, the rest to throughput. Many short ones tell more than few long ones. */
const VISIT_MS = 400
/** How long a listener may take to be there, on a busy machine. */
const PATIENCE_MS = 15_000
/** A visit that fails is made again: a lost one would leave a round without its pair. */
const TRIES = 3
const PROGRAM = join(import.meta.dirname, 'traffic.ts')
const ENVIRONMENT = { PATH: '/usr/bin:/bin', NODE_NO_WARNINGS: '1' }

/** The sender and the receiver each have a processor. */
const [SENDER_CPU, RECEIVER_CPU] = ['0', '1']

function programArguments(
  mode: string,
  [address, port]: Route['listen'],
  ...rest: readonly string[]
): readonly string[] {
  return ['--no-warnings', PROGRAM, mode, address, String(port), ...rest]
}

/** A path that stands, with its listener. */
class Visited {
  readonly subject: Subject
  readonly stage: Stage
  readonly visits: Traffic[] = []
  why: string | undefined
  #route: Route | undefined
  #call: TimedCall | undefined
  #idle: TimedCall | undefined
  #listener: number | undefined

  constructor(subject: Subject) {
    this.subject = subject
    this.stage = new Stage(subject.contestant)
  }

  open(): void {
    const route = this.stage.inside(() => this.subject.build(this.stage))
    this.#route = route
    const { listen, connect } = route
    // Only its files are used: the listener is not waited for.
    const idle = timedCall('listen', [process.execPath], ENVIRONMENT, '')
    this.#idle = idle
    const stdio = [idle.stdin, idle.stdout, idle.stderr] as const
    const listenArguments = programArguments('listen', listen, RECEIVER_CPU)
    const listener: Prepared = prepare(process.execPath, listenArguments, ENVIRONMENT, stdio)
    this.#listener = route.to.inside(() => spawn(listener))
    const visitArguments = programArguments('measure', connect, SENDER_CPU, String(VISIT_MS))
    this.#call = timedCall('visit', [process.execPath, ...visitArguments], ENVIRONMENT, '')
    this.#warmUp()
  }

  /** Until the listener is there and both ends know each other's hardware addresses. */
  #warmUp(): void {
    const end = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        this.#measure()
        return
      } catch (error) {
        if (performance.now() > end) throw error
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
      }
    }
  }

  visit(): void {
    for (let tries = TRIES; ; tries -= 1) {
      try {
        this.visits.push(this.#measure())
        return
      } catch (error) {
        if (tries === 1) throw error
      }
    }
  }

  #measure(): Traffic {
    const [route, call, idle] = [this.#route, this.#call, this.#idle]
    if (route === undefined || call === undefined || idle === undefined) throw new Error('visit a path: it is not open')
    const { status } = route.from.inside(() => run(call))
    if (status === 0) return JSON.parse(outputOf(call))
    const said = `${errorsOf(call)}\n${errorsOf(idle)}`.match(/^Error: .*$/gm)
    throw new Error(said?.join('; ') ?? `the visit ended with ${status}`)
  }

  close(): void {
    if (this.#listener !== undefined) {
      process.kill(this.#listener, 'SIGKILL')
      wait(this.#listener)
    }
    closeStage(this.stage)
  }
}

export function runPath(scenario: PathScenario, contestants: readonly Contestant[], rounds: number): PathResult {
  const { id, title, kind } = scenario
  const why = kind === undefined ? undefined : whyNoKind(kind)
  const subjects = scenario.subjects(contestants)
  if (why !== undefined) {
    return { id, title, subjects: subjects.map(({ name }) => ({ name, samples: {}, ratios: {}, why })) }
  }
  const paths: Visited[] = []
  const guarded = (path: Visited, body: () => void) => {
    if (path.why !== undefined) return
    try {
      body()
    } catch (error) {
      path.why = messageOf(error)
    }
  }
  try {
    for (const subject of subjects) {
      const path = new Visited(subject)
      paths.push(path)
      guarded(path, () => path.open())
    }
    for (let i = 0; i < rounds; i += 1) {
      for (const path of i % 2 === 0 ? paths : [...paths].reverse()) guarded(path, () => path.visit())
    }
  } finally {
    for (const path of paths) path.close()
  }
  const base = paths[0]
  return { id, title, subjects: paths.map(path => resultOf(path, path === base ? undefined : base)) }
}

function resultOf({ subject, visits, why }: Visited, base: Visited | undefined): SubjectResult {
  if (why !== undefined) return { name: subject.name, samples: {}, ratios: {}, why }
  const samples: Partial<Record<TrafficMeasure, Sample>> = {}
  const ratios: Partial<Record<TrafficMeasure, Estimate>> = {}
  for (const measure of TRAFFIC_MEASURES) {
    samples[measure] = sampleOf(visits.map(visit => visit[measure]))
    if (base === undefined || base.why !== undefined) continue
    ratios[measure] = estimateOf(visits.map((visit, i) => visit[measure] / (base.visits[i]?.[measure] ?? Number.NaN)))
  }
  return { name: subject.name, samples, ratios }
}
