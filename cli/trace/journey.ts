/**
 * Sends a probe and watches it. Which namespaces are on its way is found by going it: each that the packet enters, and each
 * that has an address it is translated to, is watched when the next probe is sent, until one is seen all the way.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { IpAddress } from '../../lib/ip/address.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { randomU32 } from '../../lib/sys/random.ts'
import { sendRawPacket } from '../../lib/sys/raw-ip.ts'
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import { inject } from './inject.ts'
import { isOwnTable } from './mark.ts'
import type { Journey } from './outcome.ts'
import { buildProbe, type Probe, type Protocol } from './probe.ts'
import { Ruleset } from './ruleset.ts'
import { ownersOf, Surroundings } from './surroundings.ts'
import { inOrder, type Step } from './timeline.ts'
import { isDrop, NamespaceGone, Watch } from './watch.ts'

/** What is asked for. */
export interface Plan {
  readonly view: View
  readonly from: NamespaceView
  /** Where it comes in, as if from outside; undefined when it starts in `from`. */
  readonly entry: LinkView | undefined
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: Protocol
  readonly port: number
  readonly size: number
  /** Milliseconds without anything new after which nothing more is expected. */
  readonly patience: number
}

/** A way through more namespaces than these is none that a probe is sent over again. */
const ROUNDS = 6
const POLL_MS = 3
/** For what is on its way still when the end is known: events of rules come after the packets. */
const AFTERMATH_MS = 30
/** Unlikely to be taken; a socket that has it gets nothing that it could mistake for its own. */
const FIRST_PORT = 40_000
const PORTS = 20_000

/** @param close ends the use of what `work` gets */
export async function travel<T>(plan: Plan, work: (journey: Journey) => T): Promise<T> {
  const watched = new Map<string, NamespaceView>()
  for (const one of firstWatched(plan)) watched.set(one.id, one)
  for (let round = 1; ; round += 1) {
    const probe = newProbe(plan)
    const watches = openAll([...watched.values()], probe)
    try {
      const { steps, refusal } = await sendAndWatch(plan, probe, watches)
      const further = entered(plan, steps).filter(one => !watched.has(one.id))
      if (further.length === 0 || round === ROUNDS) return finish({ plan, probe, watches, steps, refusal }, work)
      for (const one of further) watched.set(one.id, one)
    } finally {
      for (const watch of watches) watch.close()
    }
  }
}

function firstWatched({ view, from, destination }: Plan): readonly NamespaceView[] {
  return [from, ...view.namespaces.filter(one => one.isHost), ...ownersOf(view, destination)]
}

function newProbe({ source, destination, protocol, port, size }: Plan): Probe {
  return {
    source,
    destination,
    protocol,
    port,
    size,
    sourcePort: FIRST_PORT + (randomU32() % PORTS),
    token: randomU32(),
    // 0 would have the kernel choose.
    id: source.family === 4 ? 1 + (randomU32() % 0xffff) : 1 + (randomU32() % 0xfffff)
  }
}

/** Those that have gone meanwhile are left out: the packet cannot come there either. */
function openAll(namespaces: readonly NamespaceView[], probe: Probe): readonly Watch[] {
  const open: Watch[] = []
  try {
    for (const one of namespaces) {
      try {
        open.push(new Watch(one, probe))
      } catch (error) {
        if (!(error instanceof NamespaceGone)) throw error
      }
    }
    return open
  } catch (error) {
    for (const watch of open) watch.close()
    throw error
  }
}

interface Watched {
  readonly steps: readonly Step[]
  readonly refusal: string
}

async function sendAndWatch(plan: Plan, probe: Probe, watches: readonly Watch[]): Promise<Watched> {
  const steps: Step[] = []
  const refusal = send(plan, probe, watches)
  let quietSince = performance.now()
  let patience = refusal === '' ? plan.patience : AFTERMATH_MS
  while (performance.now() - quietSince < patience) {
    const fresh = watches.flatMap(watch => watch.take()).filter(isForeign)
    steps.push(...fresh)
    if (fresh.length > 0) quietSince = performance.now()
    if (fresh.some(step => isEnd(plan, step))) patience = AFTERMATH_MS
    await sleep(POLL_MS)
  }
  return { steps: inOrder(plan.from.id, steps), refusal }
}

function isForeign(step: Step): boolean {
  return step.kind === 'seen' || !isOwnTable(step.trace.table)
}

/** @returns the errno of a refusal, '' for none */
function send({ entry, from }: Plan, probe: Probe, watches: readonly Watch[]): string {
  const packet = buildProbe(probe)
  const start = watches.find(watch => watch.namespace.id === from.id)
  if (start === undefined) throw new NamespaceGone(from)
  if (entry !== undefined) {
    inject(start.net, entry, probe.source.family, packet)
    return ''
  }
  try {
    inNamespace(start.net.namespaceFd(), () => sendRawPacket(probe.destination.bytes, packet))
    return ''
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === '') throw error
    return errno
  }
}

/** After it nothing new is expected. */
function isEnd({ from, entry }: Plan, step: Step): boolean {
  if (step.kind === 'judged') return isDrop(step.trace) && step.packet.role !== 'question'
  if (step.packet.role === 'request' || step.namespace.id !== from.id) return false
  return entry === undefined ? step.direction === 'in' : step.direction === 'out' && step.link.index === entry.index
}

/** Namespaces at the other end of what the packet left by, and those with its addresses: translated ones most of all. */
function entered({ view }: Plan, steps: readonly Step[]): readonly NamespaceView[] {
  return steps.flatMap(step => {
    const addressed = ['error', 'question'].includes(step.packet.role) ? [] : ownersOf(view, step.packet.destination)
    if (step.kind === 'judged' || step.direction !== 'out') return addressed
    const peer = view.namespaces.find(one => one.id === step.link.peer?.namespace)
    return peer === undefined ? addressed : [...addressed, peer]
  })
}

interface Finished extends Watched {
  readonly plan: Plan
  readonly probe: Probe
  readonly watches: readonly Watch[]
}

function finish<T>({ plan, probe, watches, steps, refusal }: Finished, work: (journey: Journey) => T): T {
  const rulesets = new Map(watches.map(one => [one.namespace.id, new Ruleset(one.net.namespaceFd())]))
  try {
    return work({
      view: plan.view,
      probe,
      from: plan.from,
      entry: plan.entry,
      steps,
      refusal,
      places: new Map(watches.map(one => [one.namespace.id, new Surroundings(one.namespace, one.net)])),
      legacy: new Map(watches.map(one => [one.namespace.id, one.legacy.hits()])),
      words: step => {
        const ruleset = rulesets.get(step.namespace.id)
        if (ruleset === undefined) throw new Error('a rule was heard of where nobody listened')
        return ruleset.wordsFor(step.trace, probe.source.family)
      }
    })
  } finally {
    for (const ruleset of rulesets.values()) ruleset.close()
  }
}
