/**
 * Services in a client's own nf_tables: what it sends to a service's address goes to one of the members. One table for
 * each family:
 *
 *     table ip patchbay-services {
 *       map services { type ipv4_addr : verdict
 *                      elements = { 10.4.0.100 comment "web" : goto turn-10.4.0.100, 10.4.0.101 comment "shop" : goto refuse } }
 *       map members-36 { type ipv4_addr . mark : ipv4_addr
 *                     elements = { 10.4.0.100 . 0 : 10.4.0.5, 10.4.0.100 . 1 : 10.4.0.6 } }
 *       set sent { type ipv4_addr . ipv4_addr; flags dynamic; elements = { 10.4.0.100 . 10.4.0.5 counter, … } }
 *       set received …
 *       chain output { type nat hook output priority -100; ip daddr vmap @services }
 *       chain turn-10.4.0.100 { dnat ip to ip daddr . numgen inc mod 2 map @members-36 }
 *       chain refuse { meta l4proto tcp reject with tcp reset; reject }
 *       chain sent { type filter hook output priority 0
 *         ct status dnat add @sent { ct original ip daddr . ip daddr counter } }
 *       chain received { type filter hook input priority 0
 *         ct status dnat add @received { ct original ip daddr . ip saddr counter } }
 *     }
 *
 * A connection's first packet is looked up twice, however many services and members there are; the others pass the counters
 * alone, and what goes elsewhere not even those. Counters come with the first packet that there is to count: one for each
 * member made two of three elements that a client got, of which it uses few. (`mark` is nft's name for a number of four bytes in
 * the host's order, which is what numgen gives.)
 */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import {
  addressField,
  concatenate,
  gotoElement,
  type Nft,
  type NftBatch,
  type NftFamily,
  type NftField
} from '../../lib/nft/nft.ts'
import {
  countIn,
  matchProtocol,
  matchTranslatedDestination,
  rejectUnreachable,
  rejectWithReset,
  rule,
  verdictFrom
} from '../../lib/nft/rule.ts'
import { BalanceTable } from './balance-table.ts'
import { type Balanced, type Layout, RECEIVED, SENT, SERVICES, type Way } from './layout.ts'

const TABLE = 'patchbay-services'
const OUTPUT = 'output'
const REFUSE = 'refuse'
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
  wayIn,
  more: () => [],
  counters: () => [],
  refusal: (key, comment) => [SERVICES, gotoElement(key, REFUSE, comment)],
  comment: of => of.service,
  data: ({ member }: Way) => addressField(member)
}

function addressType(family: NftFamily): NftField {
  return family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
}

/** The address and the member stand one behind the other. */
function wayIn(key: Uint8Array): ReturnType<Layout['wayIn']> {
  const half = key.length / 2
  const family = half === 4 ? 4 : 6
  if (half !== 4 && half !== 16) return undefined
  return {
    name: formatAddress({ family, bytes: key.slice(0, half) }),
    member: { family, bytes: key.slice(half) }
  }
}

function addBase(batch: NftBatch, family: NftFamily): void {
  const key = [addressType(family), addressType(family)]
  for (const name of [SENT, RECEIVED])
    batch.addSet(family, TABLE, { name, key, data: undefined, isInterval: false, isDynamic: true })
  batch.addChain(family, TABLE, REFUSE, undefined)
  batch.addRule(family, TABLE, REFUSE, rule([matchProtocol(IPPROTO_TCP), rejectWithReset()]))
  batch.addRule(family, TABLE, REFUSE, rejectUnreachable(family))
  batch.addChain(family, TABLE, OUTPUT, { type: 'nat', hook: 'output', priority: DNAT_PRIORITY, policy: undefined })
  batch.addRule(family, TABLE, OUTPUT, verdictFrom(family, ['daddr'], SERVICES))
  const translated = matchTranslatedDestination()
  const sent = countIn(family, ['ct original daddr', 'daddr'], SENT)
  const received = countIn(family, ['ct original daddr', 'saddr'], RECEIVED)
  batch.addChain(family, TABLE, SENT, { type: 'filter', hook: 'output', priority: 0, policy: undefined })
  batch.addRule(family, TABLE, SENT, rule([translated, sent]))
  batch.addChain(family, TABLE, RECEIVED, { type: 'filter', hook: 'input', priority: 0, policy: undefined })
  batch.addRule(family, TABLE, RECEIVED, rule([translated, received]))
}
