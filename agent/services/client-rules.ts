/**
 * Services in a client's own nf_tables: what it sends to a service's address goes to one of the members. One table for
 * each family:
 *
 *     table ip patchbay-services {
 *       map services { type ipv4_addr : verdict; elements = { 10.4.0.100 comment "web" : goto turn-10.4.0.100 } }
 *       map members { type ipv4_addr . mark : ipv4_addr
 *                     elements = { 10.4.0.100 . 0 : 10.4.0.5, 10.4.0.100 . 1 : 10.4.0.6 } }
 *       set empty { type ipv4_addr; elements = { 10.4.0.101 } }
 *       set sent { type ipv4_addr . ipv4_addr; counter; elements = { 10.4.0.100 . 10.4.0.5, … } }
 *       set received …
 *       chain output { type nat hook output priority -100; ip daddr vmap @services }
 *       chain turn-10.4.0.100 { dnat ip to ip daddr . numgen inc mod 2 map @members }
 *       chain filter { type filter hook output priority 0
 *         ct status dnat ct original ip daddr . ip daddr @sent accept
 *         ip daddr @empty meta l4proto tcp reject with tcp reset; ip daddr @empty reject }
 *       chain input { type filter hook input priority 0; ct status dnat ct original ip daddr . ip saddr @received }
 *     }
 *
 * A packet costs two lookups, a connection's first one three, however many services and members there are. (`mark` is nft's
 * name for a number of four bytes in the host's order, which is what numgen gives.)
 */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { addressField, concatenate, type Nft, type NftBatch, type NftFamily, type NftField } from '../../lib/nft/nft.ts'
import {
  matchProtocol,
  matchSet,
  matchTranslatedDestination,
  rejectUnreachable,
  rejectWithReset,
  rule,
  verdict,
  verdictFrom
} from '../../lib/nft/rule.ts'
import { type Balanced, BalanceTable, EMPTY, type Layout, RECEIVED, SENT, SERVICES, type Way } from './balance-table.ts'

const TABLE = 'patchbay-services'
const OUTPUT = 'output'
const FILTER = 'filter'
const INPUT = 'input'
const DNAT_PRIORITY = -100
const IPPROTO_TCP = 6

/** The table of a client, which is empty until it is applied to. */
export function clientTable(nft: Nft, family: 4 | 6, turn: number): BalanceTable {
  return new BalanceTable(nft, family, LAYOUT, turn)
}

/** A service as its clients have it. */
export function balancedAt(
  service: string,
  vip: IpAddress,
  members: readonly IpAddress[],
  isSticky: boolean
): Balanced {
  const key = [addressField(vip)]
  const rest = { port: undefined, target: undefined, source: undefined }
  return { service, family: vip.family, name: formatAddress(vip), key, vip, members, isSticky, ...rest }
}

const LAYOUT: Layout = {
  table: TABLE,
  key: family => [addressType(family)],
  packet: ['daddr'],
  hasPort: false,
  addBase,
  way: ({ of, member }: Way) => concatenate([...of.key, addressField(member)]),
  more: () => [],
  comment: of => of.service,
  data: ({ member }: Way) => addressField(member)
}

function addressType(family: NftFamily): NftField {
  return family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
}

function addBase(batch: NftBatch, family: NftFamily): void {
  const address = addressType(family)
  for (const name of [SENT, RECEIVED])
    batch.addSet(family, TABLE, { name, key: [address, address], data: undefined, isInterval: false, counts: true })
  batch.addChain(family, TABLE, OUTPUT, { type: 'nat', hook: 'output', priority: DNAT_PRIORITY, policy: undefined })
  batch.addChain(family, TABLE, FILTER, { type: 'filter', hook: 'output', priority: 0, policy: undefined })
  batch.addChain(family, TABLE, INPUT, { type: 'filter', hook: 'input', priority: 0, policy: undefined })
  const translated = matchTranslatedDestination()
  const sent = matchSet(family, ['ct original daddr', 'daddr'], SENT)
  const received = matchSet(family, ['ct original daddr', 'saddr'], RECEIVED)
  const empty = matchSet(family, ['daddr'], EMPTY)
  batch.addRule(family, TABLE, OUTPUT, verdictFrom(family, ['daddr'], SERVICES))
  batch.addRule(family, TABLE, FILTER, rule([translated, sent, verdict('accept')]))
  batch.addRule(family, TABLE, FILTER, rule([empty, matchProtocol(IPPROTO_TCP), rejectWithReset()]))
  batch.addRule(family, TABLE, FILTER, rule([empty, rejectUnreachable(family)]))
  batch.addRule(family, TABLE, INPUT, rule([translated, received]))
}
