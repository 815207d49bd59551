/**
 * Published ports of services, on every host of their network. One table for each family:
 *
 *     table ip patchbay-published {
 *       map services { type inet_proto . inet_service : verdict; elements = { tcp . 8001 comment "service \"web\"" : goto turn-tcp-8001 } }
 *       map members-1 { type inet_proto . inet_service . mark : ipv4_addr . inet_service
 *                     elements = { tcp . 8001 . 0 : 10.42.0.5 . 80, … } }
 *       set empty { type inet_proto . inet_service }
 *       map sources { type inet_proto . inet_service . ipv4_addr . inet_service : ipv4_addr
 *                     elements = { tcp . 8001 . 10.42.0.5 . 80 : 10.42.0.9 } }
 *       set others …
 *       chain prerouting { type nat hook prerouting priority -100; fib daddr type local meta l4proto . th dport vmap @services }
 *       chain output { type nat hook output priority -100; fib daddr type local meta l4proto . th dport vmap @services }
 *       chain postrouting { type nat hook postrouting priority 100
 *         ct status dnat snat ip to meta l4proto . ct original proto-dst . ip daddr . th dport map @sources
 *         ct status dnat meta l4proto . ct original proto-dst . ip daddr . th dport @others masquerade }
 *       chain input { type filter hook input priority 0; meta l4proto . th dport @empty reject }
 *       chains forward, sent, received count
 *     }
 *
 * Members see the host's own address in the network: answers must come back by the host that the connection came in by, and the
 * gateway's address is the same on all of them.
 */
import {
  addressField,
  concatenate,
  keyElement,
  type Nft,
  type NftBatch,
  type NftFamily,
  type NftField,
  portField,
  protocolField
} from '../../lib/nft/nft.ts'
import {
  masquerade,
  matchLocalDestination,
  matchProtocol,
  matchSet,
  matchTranslatedDestination,
  type PacketField,
  rejectUnreachable,
  rejectWithReset,
  rule,
  translateSourceFrom,
  verdict,
  verdictFrom
} from '../../lib/nft/rule.ts'
import { PUBLISHED_TABLE } from '../../lib/nft/service-ports.ts'
import { BalanceTable } from './balance-table.ts'
import { type Balanced, type Entry, type Layout, RECEIVED, SENT, SERVICES, type Way } from './layout.ts'
import { type Published, protocolName, type ServiceRecord } from './record.ts'

const TABLE = PUBLISHED_TABLE
const EMPTY = 'empty'
const SOURCES = 'sources'
const OTHERS = 'others'
const DNAT_PRIORITY = -100
const SNAT_PRIORITY = 100
const IPPROTO_TCP = 6
const PORT: readonly PacketField[] = ['l4proto', 'dport']
const ASKED: readonly PacketField[] = ['l4proto', 'ct original proto-dst', 'daddr', 'dport']
const ANSWERED: readonly PacketField[] = ['l4proto', 'ct original proto-dst', 'saddr', 'sport']

/** The table of this host, which is empty until it is applied to. */
export function hostTable(nft: Nft, family: 4 | 6): BalanceTable {
  return new BalanceTable(nft, family, LAYOUT, 0)
}

/** Members and sources are of one family. */
export function publishedAt(
  { name, isSticky }: ServiceRecord,
  { port, protocol, target }: Published,
  { family, members, source }: Pick<Balanced, 'family' | 'members' | 'source'>
): Balanced {
  return {
    service: name,
    family,
    name: portName(protocol, port),
    key: portKey(protocol, port),
    vip: undefined,
    port: { protocol, number: port },
    members,
    target,
    source,
    isSticky
  }
}

function portName(protocol: number, port: number): string {
  return `${protocolName(protocol)}-${port}`
}

export function portKey(protocol: number, port: number): readonly Uint8Array[] {
  return [protocolField(protocol), portField(port)]
}

const LAYOUT: Layout = {
  table: TABLE,
  key: () => ['inet_proto', 'inet_service'],
  packet: PORT,
  hasPort: true,
  addBase,
  way: wayKey,
  wayIn,
  more,
  // Here packets may bring none: what else is translated on a host is not ours.
  counters: way => [SENT, RECEIVED].map(set => [set, keyElement(wayKey(way), '')]),
  refusal: (key, comment) => [EMPTY, keyElement(key, comment)],
  comment: of => `service ${JSON.stringify(of.service)}`,
  data: way => concatenate(targetOf(way))
}

function targetOf({ of, member }: Way): readonly Uint8Array[] {
  return [addressField(member), portField(of.target ?? 0)]
}

function wayKey(way: Way): Uint8Array {
  return concatenate([...way.of.key, ...targetOf(way)])
}

/** Protocol and port, the member's address and its port, each in a multiple of four bytes. */
function wayIn(key: Uint8Array): ReturnType<Layout['wayIn']> {
  const bytes = key.slice(8, -4)
  if (bytes.length !== 4 && bytes.length !== 16) return undefined
  const name = portName(key[0] ?? 0, (key[4] ?? 0) * 256 + (key[5] ?? 0))
  return { name, member: { family: bytes.length === 4 ? 4 : 6, bytes } }
}

function more(way: Way): readonly Entry[] {
  const element = keyElement(wayKey(way), '')
  const { source } = way.of
  return source === undefined ? [[OTHERS, element]] : [[SOURCES, { ...element, data: addressField(source) }]]
}

function addBase(batch: NftBatch, family: NftFamily): void {
  addSets(batch, family)
  addTranslation(batch, family)
  const translated = matchTranslatedDestination()
  const sent = rule([translated, matchSet(family, ASKED, SENT), verdict('accept')])
  const received = rule([translated, matchSet(family, ANSWERED, RECEIVED), verdict('accept')])
  const empty = matchSet(family, PORT, EMPTY)
  batch.addChain(family, TABLE, 'forward', { type: 'filter', hook: 'forward', priority: 0, policy: undefined })
  batch.addRule(family, TABLE, 'forward', sent)
  batch.addRule(family, TABLE, 'forward', received)
  batch.addChain(family, TABLE, 'sent', { type: 'filter', hook: 'output', priority: 0, policy: undefined })
  batch.addRule(family, TABLE, 'sent', sent)
  batch.addChain(family, TABLE, 'input', { type: 'filter', hook: 'input', priority: 0, policy: undefined })
  batch.addRule(family, TABLE, 'input', received)
  batch.addRule(family, TABLE, 'input', rule([empty, matchProtocol(IPPROTO_TCP), rejectWithReset()]))
  batch.addRule(family, TABLE, 'input', rule([empty, rejectUnreachable(family)]))
}

function addSets(batch: NftBatch, family: NftFamily): void {
  const address: NftField = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const key: readonly NftField[] = ['inet_proto', 'inet_service', address, 'inet_service']
  for (const name of [SENT, RECEIVED])
    batch.addSet(family, TABLE, { name, key, data: undefined, isInterval: false, counts: true })
  batch.addSet(family, TABLE, { name: EMPTY, key: ['inet_proto', 'inet_service'], data: undefined, isInterval: false })
  batch.addSet(family, TABLE, { name: SOURCES, key, data: [address], isInterval: false })
  batch.addSet(family, TABLE, { name: OTHERS, key, data: undefined, isInterval: false })
}

function addTranslation(batch: NftBatch, family: NftFamily): void {
  const translated = matchTranslatedDestination()
  for (const hook of ['prerouting', 'output'] as const) {
    batch.addChain(family, TABLE, hook, { type: 'nat', hook, priority: DNAT_PRIORITY, policy: undefined })
    batch.addRule(family, TABLE, hook, rule([matchLocalDestination(), verdictFrom(family, PORT, SERVICES)]))
  }
  const postrouting = { type: 'nat', hook: 'postrouting', priority: SNAT_PRIORITY, policy: undefined } as const
  batch.addChain(family, TABLE, 'postrouting', postrouting)
  batch.addRule(family, TABLE, 'postrouting', rule([translated, translateSourceFrom(family, ASKED, SOURCES)]))
  batch.addRule(family, TABLE, 'postrouting', rule([translated, matchSet(family, ASKED, OTHERS), masquerade()]))
}
