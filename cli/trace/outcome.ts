/** What became of a probe: its form, shared by those who find out and those who tell. */
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import type { LegacyHit } from './legacy.ts'
import type { Probe } from './probe.ts'
import type { RuleWords } from './ruleset.ts'
import type { Surroundings } from './surroundings.ts'
import type { Step } from './timeline.ts'
import type { Judged } from './watch.ts'

export interface Outcome {
  /** An answer came, or a program has what was sent. */
  readonly works: boolean
  /** One sentence without its end. Names in it may be a container's. */
  readonly what: string
  /** What was seen that says so. */
  readonly evidence: readonly string[]
  /** '' when there is nothing to do. */
  readonly remedy: string
}

/** Everything that is known of one probe when nothing more comes. */
export interface Journey {
  readonly view: View
  readonly probe: Probe
  readonly from: NamespaceView
  /** Where it was put in, as if it had come from outside; undefined where a program could have sent it. */
  readonly entry: LinkView | undefined
  readonly steps: readonly Step[]
  /** Why the kernel would not even take it; '' when it did. */
  readonly refusal: string
  /** Of every namespace that was watched, by its id. */
  readonly places: ReadonlyMap<string, Surroundings>
  /** Of legacy iptables, by namespace: what counted something meanwhile. */
  readonly legacy: ReadonlyMap<string, readonly LegacyHit[]>
  readonly words: (step: Judged) => RuleWords
}

export function reached(what: string, evidence: readonly string[] = []): Outcome {
  return { works: true, what, evidence, remedy: '' }
}

export function lost(what: string, evidence: readonly string[], remedy: string): Outcome {
  return { works: false, what, evidence, remedy }
}

export function placeOf(journey: Journey, namespace: NamespaceView): Surroundings {
  const place = journey.places.get(namespace.id)
  if (place === undefined) throw new Error(`namespace ${namespace.id} was not watched`)
  return place
}

export function nameOf(namespace: NamespaceView): string {
  return namespace.isHost ? 'the host' : namespace.name
}

/** `tcp port 80`, '' for ICMP */
export function portText({ protocol, port }: Probe): string {
  return protocol === 'icmp' ? '' : `${protocol} port ${String(port)}`
}
