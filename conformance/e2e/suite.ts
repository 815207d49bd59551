/** A suite of end-to-end cases: what one real runtime does on one host. */
import { until } from './command.ts'
import type { PluginSet } from './host.ts'
import { left, mountPoints, processes, ruleLines } from './traces.ts'

const PATIENCE_MS = 5000

/** One thing that must hold. A case makes what it needs and takes it away again. */
export interface Case {
  readonly name: string
  readonly body: () => void | Promise<void>
}

/** What a suite hands to the one that runs it. */
export interface Suite {
  readonly name: string
  /** Beside those that every suite needs: see needs.ts. */
  readonly needs: readonly string[]
  /** Whose plugins it runs with when nothing else is asked for. */
  readonly sets: readonly PluginSet[]
  readonly prepare: (set: PluginSet) => Promise<Stage>
}

/** A suite with its runtime running. */
interface Stage {
  readonly cases: readonly Case[]
  /** Makes and removes one container, so that what is made once and stays (bridge, chains) is there. */
  readonly warmUp: () => Promise<void>
  /** Ends the runtime. */
  readonly close: () => Promise<void>
  /** What the runtime said, for failures. */
  readonly log: () => string
}

export interface CaseResult {
  readonly suite: string
  readonly set: PluginSet
  readonly name: string
  readonly milliseconds: number
  /** '' when it held. */
  readonly problem: string
}

/** Runs a suite on a furnished host, telling each result as it comes. */
export async function runSuite(suite: Suite, set: PluginSet, tell: (result: CaseResult) => void): Promise<void> {
  const mountsBefore = mountPoints()
  const one = async (name: string, log: () => string, body: () => void | Promise<void>): Promise<boolean> => {
    const started = performance.now()
    let problem = ''
    try {
      await body()
    } catch (error) {
      const said = error instanceof Error ? (error.stack ?? error.message) : String(error)
      problem = `${said}\n${log().trimEnd().split('\n').slice(-12).join('\n')}`
    }
    tell({ suite: suite.name, set, name, milliseconds: performance.now() - started, problem })
    return problem === ''
  }
  let stage: Stage | undefined
  const started = await one(
    'starts',
    () => '',
    async () => {
      stage = await suite.prepare(set)
      await stage.warmUp()
    }
  )
  if (stage === undefined) return
  const { cases, close, log } = stage
  const rulesBefore = ruleLines()
  if (started) {
    for (const { name, body } of cases) await one(name, log, body)
    await one('leaves nothing: links, leases, records, rules', log, () =>
      expectNone([...left(), ...added(rulesBefore, ruleLines())])
    )
  }
  await one('leaves nothing: processes, mounts', log, async () => {
    await close()
    // What a runtime has told to end may take a moment.
    await until('processes to end', PATIENCE_MS, () => (processes().length === 0 ? true : undefined)).catch(
      () => undefined
    )
    expectNone([...processes(), ...added(mountsBefore, mountPoints()).map(path => `mount ${path}`)])
  })
}

/** Lines of `after` beyond those of `before`, each as often as it is there more often. */
function added(before: readonly string[], after: readonly string[]): readonly string[] {
  const rest = [...before]
  return after.filter(line => {
    const at = rest.indexOf(line)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

export function expectNone(things: readonly string[]): void {
  if (things.length > 0) throw new Error(`left behind:\n${things.join('\n')}`)
}
