/** What the agent answers, part by part: each has a table of requests by their `do`, and one of all is served. */
import type { Json } from '../lib/config/json.ts'
import type { DaemonRequest } from '../lib/daemon/request.ts'

type Answer = Promise<Json | undefined> | Json | undefined

/**
 * Carries one request of a part out: undefined when there is nothing to tell.
 *
 * @throws {CniError} {ConfigError} what the plugin or the command is to tell
 */
export type Carry<Part> = (part: Part, request: DaemonRequest) => Answer

/** With the part that they are put to. */
export type Answers = ReadonlyMap<string, (request: DaemonRequest) => Answer>

/** For what there is nothing to tell of. */
export async function nothing(work: () => Promise<void> | void): Promise<undefined> {
  await work()
  return undefined
}

/** The longest that DEL waits for the registry: one that answers slower is as good as away. */
const PATIENCE_MS = 2000

/** How long a request that must not fail may wait for the registry: whoever asked is still there to be answered. In milliseconds. */
export function patience(request: DaemonRequest): number {
  return Math.min(PATIENCE_MS, request.milliseconds / 2)
}

export function answersOf<Part>(part: Part, requests: ReadonlyMap<string, Carry<Part>>): Answers {
  return new Map([...requests].map(([what, answer]) => [what, request => answer(part, request)]))
}

/** @throws {CniError} code 7 for a request that there is not, and whatever its answer throws */
export async function answer(answers: Answers, request: DaemonRequest): Promise<Json | undefined> {
  const carryOut = answers.get(request.what)
  if (carryOut === undefined) throw request.unknown()
  return carryOut(request)
}
