/** Where the probe ended, and why: what somebody says counts before what is concluded. */
import type { Journey, Outcome } from './outcome.ts'
import { refusedAtStart } from './refused.ts'
import type { Step } from './timeline.ts'
import { vanished } from './vanished.ts'
import { answered, dropped, droppedByLegacy, told } from './verdicts.ts'
import { isDrop, type Judged, type Sighting } from './watch.ts'

export function outcomeOf(journey: Journey): Outcome {
  const { steps, refusal } = journey
  const drop = steps.findLast(isEnded)
  if (drop !== undefined) return dropped(journey, drop)
  const answer = steps.findLast((step): step is Sighting => isBack(journey, step) && step.packet.role === 'answer')
  const legacy = answer === undefined || answer.packet.isReset ? droppedByLegacy(journey) : undefined
  if (legacy !== undefined) return legacy
  if (answer !== undefined) return answered(journey, answer)
  if (refusal !== '') return refusedAtStart(journey)
  const error = steps.findLast((step): step is Sighting => step.kind === 'seen' && step.packet.role === 'error')
  return error === undefined ? vanished(journey) : told(journey, error)
}

/** That a question for a neighbour was dropped matters only where nobody was found: a bridge asks at every port. */
function isEnded(step: Step): step is Judged {
  return step.kind === 'judged' && step.packet.role !== 'question' && isDrop(step.trace)
}

/** Where the probe came from, or by the interface that it came in by. */
function isBack({ from, entry }: Journey, step: Step): boolean {
  if (step.kind !== 'seen' || step.namespace.id !== from.id) return false
  return entry === undefined ? step.direction === 'in' : step.direction === 'out' && step.link.index === entry.index
}
