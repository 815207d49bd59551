/** Outcomes that somebody says: the answer, a refusal, a rule that drops, an error on the way. */
import { formatAddress } from '../../lib/ip/address.ts'
import { NETDEV_HOOKS } from '../../lib/netlink/nf/netdev-chain.ts'
import type { NamespaceView } from '../../lib/view/model.ts'
import { visible } from '../../lib/view/visible.ts'
import { makerOf } from '../doctor/makers.ts'
import { isLegacyDrop, type LegacyHit } from './legacy.ts'
import { nobodyListens } from './listeners.ts'
import { type Journey, lost, nameOf, type Outcome, portText, reached } from './outcome.ts'
import type { IcmpError } from './recognise.ts'
import { returnPath, wayless } from './refused.ts'
import { ownersOf } from './surroundings.ts'
import type { Judged, Sighting } from './watch.ts'

/** The answer came back to where the probe was sent. */
export function answered(journey: Journey, answer: Sighting): Outcome {
  const { probe } = journey
  const from = formatAddress(answer.packet.source)
  if (answer.packet.isReset) return nobodyListens(journey)
  const filtered = journey.entry === undefined ? returnPath(journey, answer) : undefined
  if (filtered !== undefined) return { ...filtered, what: `the answer is lost: ${filtered.what}` }
  const port = portText(probe)
  return reached(`${from} answers${port === '' ? '' : ` on ${port}`}`, outside(journey))
}

/** Nobody hears the answer to a packet that was put in: whether its sender is there is not for us to say. */
function outside({ entry, probe }: Journey): readonly string[] {
  return entry === undefined ? [] : [`the answer goes to ${formatAddress(probe.source)} by ${entry.name}`]
}

/** What is dropped there, no tool that looks after forwarding can be told to let through. */
const ITS_OWN_HOOKS: readonly string[] = ['input', ...NETDEV_HOOKS]

/** A rule or a policy ended it. */
export function dropped(journey: Journey, step: Judged): Outcome {
  const rule = journey.words(step)
  const { namespace, packet } = step
  const table = rule.table.split(' ')[1] ?? ''
  const tool = rule.dialect === 'iptables' ? ` of iptables` : ''
  const said = step.trace.type === 'policy' ? `policy of chain ${rule.chain}` : `a rule of chain ${rule.chain}`
  const maker = table.startsWith('patchbay-')
    ? `; ${ownTable(table)} set it`
    : rule.who === ''
      ? ''
      : `; ${rule.who} set it`
  const whose = { request: '', error: '', answer: 'the answer was ', question: 'the question for it was ' }[packet.role]
  return lost(
    `${whose}dropped by ${said}${tool} (table ${rule.table}) in ${nameOf(namespace)}${maker}`,
    [
      `${rule.hook === '' ? '' : `hook ${rule.hook}: `}${rule.text === '' ? `rule ${String(step.trace.handle)}` : rule.text}`
    ],
    ownRemedy(table) ??
      (namespace.isHost && !ITS_OWN_HOOKS.includes(rule.hook) ? rule.remedy : 'accept it there, before that')
  )
}

/** A rule of legacy iptables dropped or rejected something where the packet was seen last. */
export function droppedByLegacy(journey: Journey): Outcome | undefined {
  const ends = (['answer', 'request'] as const).flatMap(role => {
    const last = journey.steps.findLast(
      one => one.kind === 'seen' && one.packet.role === role && one.direction !== 'out'
    )
    return last === undefined ? [] : [last.namespace]
  })
  const dropIn = (one: NamespaceView): LegacyHit | undefined => journey.legacy.get(one.id)?.find(isLegacyDrop)
  const namespace = [...ends, journey.from].find(one => dropIn(one) !== undefined)
  const hit = namespace === undefined ? undefined : dropIn(namespace)
  if (namespace === undefined || hit === undefined) return undefined
  const { table, chain, text, siblings } = hit
  const { who, remedy } = makerOf({ table, siblings })
  const said = text.startsWith('policy') ? 'policy' : 'a rule'
  return lost(
    `dropped by ${said} of chain ${chain} of legacy iptables (table ${table}) in ${nameOf(namespace)}${who === '' ? '' : `; ${who} set it`}`,
    [`${text}: its counter rose meanwhile`],
    chain === 'INPUT' ? 'accept it there, before that' : remedy
  )
}

function ownTable(table: string): string {
  return `Patchbay (${table.slice('patchbay-'.length)})`
}

/** Of our own tables it is a wish of the configuration. */
function ownRemedy(table: string): string | undefined {
  switch (table) {
    case 'patchbay-services':
      return 'no container of the service is there: patchbay service ls; start one with the alias'
    case 'patchbay-firewall':
      return 'the network is closed to that source (ingressPolicy, directRouting): publish the port, or attach both to one network'
    case 'patchbay-localhost':
      return 'what is published on 127.0.0.1 is for programs of this host alone'
  }
  return table.startsWith('patchbay-') ? 'see the README of the plugin' : undefined
}

interface Told {
  readonly what: string
  readonly remedy: string
}

/** @source RFC 792, RFC 4443; IANA's codes */
function errorText({ type, code, mtu }: IcmpError, family: 4 | 6): Told {
  if (type === (family === 4 ? 11 : 3))
    return {
      what: 'the packet went round in circles until its TTL was used up',
      remedy: 'two routers point at each other: compare their routes'
    }
  const tooBig = family === 4 ? type === 3 && code === 4 : type === 2
  if (tooBig)
    return {
      what: `MTU ${String(mtu)}: the packet is larger and must not be fragmented`,
      remedy: `give the interfaces of the network an MTU of ${String(mtu)}, and let ICMP errors pass`
    }
  const prohibited = family === 4 ? [9, 10, 13].includes(code) : [1, 5].includes(code)
  if (prohibited) return { what: 'a firewall there refuses it', remedy: 'allow it there' }
  const isHost = family === 4 ? code === 1 : code === 3
  if (isHost) return { what: 'no neighbour answers there', remedy: 'look whether the target is up' }
  return { what: 'no way leads further there', remedy: 'add a route there' }
}

/** Somebody on the way sent an error of ICMP about it. */
export function told(journey: Journey, sighting: Sighting): Outcome {
  const { packet } = sighting
  const { family } = journey.probe.source
  const error = packet.error ?? { type: 0, code: 0, mtu: 0 }
  const isPort = family === 4 ? error.type === 3 && error.code === 3 : error.type === 1 && error.code === 4
  if (isPort) return nobodyListens(journey)
  const by = ownersOf(journey.view, packet.source)[0]
  const teller = by === undefined ? formatAddress(packet.source) : nameOf(by)
  const shown = `ICMP${family === 4 ? '' : 'v6'} type ${String(error.type)} code ${String(error.code)} from ${formatAddress(packet.source)}`
  const { what, remedy } = errorText(error, family)
  const deeper = by === undefined ? undefined : wayless(journey, by)
  if (deeper !== undefined) return { ...deeper, evidence: [...deeper.evidence, shown] }
  return lost(visible(`${teller} says: ${what}`), [shown], remedy)
}
