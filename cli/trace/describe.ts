/** A journey step by step, for people and for programs. */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { NamespaceView } from '../../lib/view/model.ts'
import type { Journey } from './outcome.ts'
import type { Recognised } from './recognise.ts'
import { isCarried, type Step } from './timeline.ts'
import type { Judged, Sighting } from './watch.ts'

/** What happened, in the order in which it did. Texts are as the kernel has them: containers choose many of them. */
export interface StepView {
  readonly kind: 'seen' | 'rule' | 'route' | 'neighbour' | 'translated'
  /** Of the probe, of its answer, of an error about it. */
  readonly role: Recognised['role']
  readonly namespace: string
  readonly namespaceId: string
  /** As a line says it. */
  readonly text: string
  /** Of `seen`. */
  readonly link?: string
  /** `foreign`: for another MAC address. */
  readonly direction?: Sighting['direction']
  /** Of `rule`. */
  readonly table?: string
  readonly chain?: string
  readonly hook?: string
  readonly rule?: string
  readonly verdict?: string
}

export function stepsOf(journey: Journey): readonly StepView[] {
  const told: StepView[] = []
  const ends = new Map([['request', endsText(asSent(journey))]])
  const routed = new Set<string>()
  if (!journey.steps.some(step => step.kind === 'seen')) told.push(...wayOf(journey, journey.from, undefined))
  for (const step of journey.steps) {
    const { role } = step.packet
    if (step.kind === 'judged') {
      // A chain that came to its end says nothing.
      if (step.trace.type === 'policy' || step.trace.handle !== 0) told.push(ruleStep(journey, step))
      continue
    }
    const before = ends.get(role)
    const now = endsText(step.packet)
    if (before !== undefined && before !== now)
      told.push({ ...common(step), kind: 'translated', text: `${before} becomes ${now}` })
    ends.set(role, now)
    const key = `${step.namespace.id} ${role}`
    if (
      step.direction === 'out' &&
      role === 'request' &&
      !routed.has(key) &&
      !isBridged(journey, step) &&
      !isCarried(journey.steps, step)
    ) {
      routed.add(key)
      told.push(...wayOf(journey, step.namespace, step))
    }
    told.push(seenStep(step))
    if (isLastIn(journey, step)) told.push(...legacySteps(journey, step))
  }
  return told
}

/** Behind it the packet is the namespace's: iptables sees it from here on. */
function isLastIn({ steps }: Journey, step: Sighting): boolean {
  if (step.direction === 'out' || step.packet.role !== 'request') return false
  const here = steps.filter(
    one => one.kind === 'seen' && one.namespace.id === step.namespace.id && one.packet.role === 'request'
  )
  return here.findLast(one => one.kind === 'seen' && one.direction !== 'out') === step
}

function legacySteps({ legacy }: Journey, step: Sighting): readonly StepView[] {
  const hits = legacy.get(step.namespace.id) ?? []
  return hits
    .filter(({ text }) => text !== '')
    .map(({ table, chain, text }) => ({
      ...common(step),
      kind: 'rule',
      table: `legacy ${table}`,
      chain,
      rule: text,
      text: `legacy ${table} ${chain}: ${text} (its counter rose)`
    }))
}

function common({ namespace, packet }: Step): Pick<StepView, 'role' | 'namespace' | 'namespaceId'> {
  return { role: packet.role, namespace: namespace.isHost ? 'host' : namespace.name, namespaceId: namespace.id }
}

function seenStep(step: Sighting): StepView {
  const { link, direction, namespace } = step
  const master = namespace.links.find(one => one.index === link.master)
  const port = master === undefined ? '' : ` (port of ${master.name})`
  // Of what hangs over it (macvlan), or of a neighbour's mistake.
  const other = direction === 'foreign' ? ', for another MAC address than its own' : ''
  return {
    ...common(step),
    kind: 'seen',
    link: link.name,
    direction,
    text: `${direction === 'out' ? 'out' : 'in'} ${link.name}${port}${other}`
  }
}

function ruleStep(journey: Journey, step: Judged): StepView {
  const { table, chain, hook, text } = journey.words(step)
  const { trace } = step
  const said = trace.verdict?.name ?? trace.policy ?? ''
  const verdict = trace.type === 'policy' ? (trace.policy ?? said) : said
  const rule = text === '' ? `rule ${String(trace.handle)}` : text
  const shown = trace.type === 'policy' || endsWithVerdict(rule, verdict) ? rule : `${rule} (${verdict})`
  return { ...common(step), kind: 'rule', table, chain, hook, rule, verdict, text: `${table} ${chain}: ${shown}` }
}

/** Said already: `... -j ACCEPT`, `... jump web`. */
function endsWithVerdict(rule: string, verdict: string): boolean {
  return new RegExp(`(?:^|[ ])(?:-j |-g )?${verdict}(?:$| )`, 'i').test(rule) || / (?:-j|-g) \S+$/.test(rule)
}

/** Passed from port to port: no route is asked. */
function isBridged({ steps }: Journey, { namespace, link, packet }: Sighting): boolean {
  if (link.master === 0 || !namespace.links.some(one => one.index === link.master && one.kind === 'bridge'))
    return false
  const here = steps.filter(
    step => step.kind === 'seen' && step.namespace.id === namespace.id && step.packet.role === packet.role
  )
  return !here.some(step => step.kind === 'seen' && step.link.index === link.master && step.direction === 'out')
}

/** The route that it takes, and the neighbour whom it is sent to. */
function wayOf(journey: Journey, namespace: NamespaceView, leaving: Sighting | undefined): readonly StepView[] {
  const place = journey.places.get(namespace.id)
  if (place === undefined) return []
  const destination = leaving?.packet.destination ?? journey.probe.destination
  const { type, link, gateway, errno } = place.wayTo(destination)
  const to = formatAddress(destination)
  const base = {
    role: 'request',
    namespace: namespace.isHost ? 'host' : namespace.name,
    namespaceId: namespace.id
  } as const
  if (errno !== '' || link === undefined)
    return [{ ...base, kind: 'route', text: `${to}: ${errno === '' ? type : errno}` }]
  const via = gateway === undefined ? '' : ` via ${formatAddress(gateway)}`
  const route: StepView = { ...base, kind: 'route', text: `${to}${via} dev ${link.name}` }
  if (link.name === 'lo' || type === 'local') return [route]
  const next: IpAddress = gateway ?? destination
  const { state, mac } = place.neighbour(link, next)
  const text = `${formatAddress(next)} ${mac === undefined ? '' : `at ${formatMac(mac)} `}${state}`
  return [route, { ...base, kind: 'neighbour', text }]
}

/** Before anything was translated. */
function asSent({ probe }: Journey): Ends {
  const { source, destination, protocol, sourcePort, port } = probe
  return { source, destination, sourcePort: protocol === 'icmp' ? 0 : sourcePort, destinationPort: port }
}

type Ends = Pick<Recognised, 'source' | 'destination' | 'sourcePort' | 'destinationPort'>

function endsText(packet: Ends): string {
  const side = (address: IpAddress, port: number): string => {
    const text = formatAddress(address)
    return port === 0 ? text : `${address.family === 6 ? `[${text}]` : text}:${String(port)}`
  }
  return `${side(packet.source, packet.sourcePort)} -> ${side(packet.destination, packet.destinationPort)}`
}
