/** What a path between two namespaces is, and who makes it. */
import type { Netns } from '../netns.ts'
import type { Contestant, Stage } from './scenario.ts'

/** Who sends, who listens where, and the address that the sender connects to. */
export interface Route {
  readonly from: Netns
  readonly to: Netns
  readonly listen: readonly [address: string, port: number]
  readonly connect: readonly [address: string, port: number]
}

/** One way to make a path. */
export interface Subject {
  readonly name: string
  readonly contestant: Contestant
  /** Called inside the stage's host. */
  readonly build: (stage: Stage) => Route
}

export interface PathScenario {
  readonly id: string
  readonly title: string
  /** The kind of link that the kernel must have. */
  readonly kind?: string
  /** The first is what the others are compared with. */
  readonly subjects: (contestants: readonly Contestant[]) => readonly Subject[]
}
