/** A thread of `npm run fuzz`: its share of the inputs, in the order that its seed gives. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { binDir, ENGINES } from '../build/project.ts'
import { Random } from '../lib/testing/mutation.ts'
import { ENGINE_TARGET, EngineComparison } from './engine-calls.ts'
import { type Finding, judged } from './findings.ts'
import { TARGETS } from './targets.ts'

/** What a thread has to do. */
export interface Order {
  readonly job: number
  readonly inputs: number
  readonly seed: number
  /** One alone; undefined for all. */
  readonly target: string | undefined
}

/** How far it is, told now and then. */
export interface Progress {
  readonly inputs: number
  readonly target: string
  readonly input: Uint8Array
}

/** A call of an executable costs a hundred inputs of the others, and the Node engine's twenty of the native one. */
const EVERY_CALL: Readonly<Record<(typeof ENGINES)[number], number>> = { native: 100, node: 2000 }
const EVERY_REPORT = 1000

/** Calls of the executables that are built. */
class Engines {
  readonly #comparisons: readonly { readonly every: number; readonly comparison: EngineComparison }[]

  constructor(seed: number) {
    const built = ENGINES.filter(engine => existsSync(join(binDir(engine), 'bridge')))
    // The cheapest first: it makes the calls when nothing else is fuzzed.
    built.sort((a, b) => EVERY_CALL[a] - EVERY_CALL[b])
    this.#comparisons = built.map(engine => ({
      every: EVERY_CALL[engine],
      comparison: new EngineComparison(binDir(engine), seed)
    }))
  }

  /** @returns whether input number `i` is a call, which is then made; `tell` hears what is wrong with its answer */
  take(i: number, alone: boolean, tell: (finding: Finding) => void): boolean {
    const due = this.#comparisons.find(({ every }) => i % every === every - 1)
    const chosen = due ?? (alone ? this.#comparisons[0] : undefined)
    if (chosen === undefined) return false
    const finding = chosen.comparison.next()
    if (finding !== undefined) tell(finding)
    return true
  }

  close(): void {
    for (const { comparison } of this.#comparisons) comparison.close()
  }
}

function fuzz(order: Order, tell: (message: unknown) => void): void {
  const random = new Random(order.seed)
  const engines = new Engines(order.seed)
  const alone = order.target === ENGINE_TARGET
  const targets = TARGETS.filter(({ name }) => order.target === undefined || name === order.target)
  for (let i = 0; i < order.inputs; i += 1) {
    if ((order.target === undefined || alone) && engines.take(i, alone, tell)) {
      tell({ inputs: i, target: ENGINE_TARGET, input: new Uint8Array(0) })
      continue
    }
    const target = targets[i % targets.length]
    if (target === undefined) continue
    const input = target.make(random)
    if (i % EVERY_REPORT === 0) tell({ inputs: i, target: target.name, input })
    const finding = judged(target, input)
    if (finding !== undefined) tell(finding)
  }
  engines.close()
  tell({ inputs: order.inputs, target: '', input: new Uint8Array(0) })
}

if (parentPort !== null) {
  const port = parentPort
  fuzz(workerData as Order, message => port.postMessage(message))
}
