/**
 * Brings what was seen at interfaces and what rules did into the order in which it happened.
 *
 * A packet socket tells what passed in its order, and so does the packet filter; but neither knows of the other, nor one
 * namespace of the next. So rules are put between the interfaces that the kernel names with them, and namespaces behind each
 * other as the packet went, over the wires that it left by. No clock is asked: the kernel stamps packets only some time after
 * it was asked to.
 */
import type { LinkPlace } from '../../lib/view/model.ts'
import type { Judged, Sighting } from './watch.ts'

export type Step = Sighting | Judged

/**
 * @param from the id of the namespace that the packet starts in
 * @param steps of each namespace in its order, sightings and rules apart
 */
export function inOrder(from: string, steps: readonly Step[]): readonly Step[] {
  const ids = [...new Set([from, ...steps.map(step => step.namespace.id)])]
  const waiting = new Map(ids.map(id => [id, withRules(steps.filter(step => step.namespace.id === id))]))
  const ordered: Step[] = []
  let current: string | undefined = from
  while (current !== undefined) {
    const step = waiting.get(current)?.shift()
    if (step === undefined) {
      current = ids.find(id => (waiting.get(id)?.length ?? 0) > 0)
      continue
    }
    ordered.push(step)
    const following = ids.find(id => id !== current && waiting.get(id)?.some(one => isNext(step, one)) === true)
    if (following !== undefined) current = following
  }
  return ordered
}

/** Whether a packet that was seen here is seen there next: at the other end of a veth pair, below a macvlan, above its parent. */
function isNext(here: Step, there: Step): boolean {
  if (here.kind !== 'seen' || there.kind !== 'seen' || here.packet.role !== there.packet.role) return false
  const isOut = there.direction === 'out'
  if (here.direction !== 'out') return !isOut && there.link.kind !== 'veth' && isAt(here, there.link.peer)
  return isAt(there, here.link.peer) && isOut === (here.link.kind !== 'veth')
}

function isAt({ namespace, link }: Sighting, place: LinkPlace | undefined): boolean {
  return place !== undefined && namespace.id === place.namespace && link.index === place.index
}

/** Sent by an interface of another namespace that hangs over this one, such as a macvlan: nothing is routed here. */
export function isCarried(steps: readonly Step[], step: Sighting): boolean {
  return steps.some(
    one => one.kind === 'seen' && one.direction === 'out' && one.link.kind !== 'veth' && isNext(one, step)
  )
}

function cameInBy(step: Step, index: number, role: Step['packet']['role']): boolean {
  return step.kind === 'seen' && step.direction !== 'out' && step.link.index === index && step.packet.role === role
}

/** Of one namespace: each rule behind what the packet came in by, and behind the rule before it. */
function withRules(steps: readonly Step[]): Step[] {
  const merged: Step[] = steps.filter(step => step.kind === 'seen')
  for (const step of steps) {
    if (step.kind === 'judged') merged.splice(placeFor(step, merged), 0, step)
  }
  return merged
}

function placeFor({ trace, packet }: Judged, merged: readonly Step[]): number {
  const { role } = packet
  const afterInterface = merged.findLastIndex(one => cameInBy(one, trace.inputIndex, role)) + 1
  const afterRule = merged.findLastIndex(one => one.kind === 'judged' && one.packet.role === role) + 1
  if (afterInterface > 0 || afterRule > 0) return Math.max(afterInterface, afterRule)
  // What starts here: before it leaves.
  const leaves = merged.findIndex(one => one.kind === 'seen' && one.direction === 'out' && one.packet.role === role)
  return leaves < 0 ? merged.length : leaves
}
