/** Port 53 of 127.0.0.11 in a container leads to the resolver's own ports, by nf_tables of the container's own. */
import { parseAddress } from '../ip/address.ts'
import { addressField, concatenate, type Nft, NftBatch, type NftElement, portField, protocolField } from '../nft/nft.ts'
import { rule, translateFrom } from '../nft/rule.ts'
import { RESOLVER } from './record.ts'

export const DNS_PORT = 53

const TABLE = 'patchbay-dns'
const MAP = 'resolver'
/** As NF_IP_PRI_NAT_DST, which nft has no word for in the hook output. */
const PRIORITY = -100
export const IPPROTO_UDP = 17
const IPPROTO_TCP = 6

export interface Ports {
  readonly udp: number
  readonly tcp: number
}

/**
 * Where the agent listens in a container, unless somebody has these ports there: above those that the kernel gives to
 * connections (ip_local_port_range), so that no program has one by chance. Known beforehand, so that the plugin makes the
 * rules while nobody listens yet.
 */
export const USUAL_PORTS: Ports = { udp: 61053, tcp: 61053 }

/** What is there of an agent before us, or of the container itself. */
export interface FormerTable {
  /** Where port 53 leads; undefined for a table of another kind. */
  readonly ports: Ports | undefined
}

/**
 *     table ip patchbay-dns {
 *       map resolver { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
 *                      elements = { 127.0.0.11 . udp . 53 : 127.0.0.11 . 41234, 127.0.0.11 . tcp . 53 : 127.0.0.11 . 35001 } }
 *       chain output { type nat hook output priority -100; dnat ip to ip daddr . meta l4proto . th dport map @resolver }
 *     }
 *
 * @param former what is replaced
 * @throws {KernelError} EPROTONOSUPPORT, EOPNOTSUPP or ENOENT of a kernel without nf_tables or its NAT
 */
export function translate(nft: Nft, ports: Ports, former: FormerTable | undefined): void {
  const batch = new NftBatch()
  // What an agent before us has left goes in the same transaction. A removal is waited for when the connection is closed,
  // so a container's first resolver is made without.
  if (former !== undefined) batch.removeTable('ip', TABLE)
  batch.createTable('ip', TABLE)
  const key = ['ipv4_addr', 'inet_proto', 'inet_service'] as const
  batch.addSet('ip', TABLE, { name: MAP, key, data: ['ipv4_addr', 'inet_service'], isInterval: false })
  const elements = [keyOf(IPPROTO_UDP), keyOf(IPPROTO_TCP)].map((elementKey, at) => ({
    key: elementKey,
    keyEnd: undefined,
    data: concatenate([resolverField(), portField(at === 0 ? ports.udp : ports.tcp)]),
    verdict: undefined,
    comment: ''
  }))
  batch.addElements('ip', TABLE, MAP, elements)
  batch.addChain('ip', TABLE, 'output', { type: 'nat', hook: 'output', priority: PRIORITY, policy: undefined })
  batch.addRule('ip', TABLE, 'output', rule([translateFrom('ip', ['daddr', 'l4proto', 'dport'], MAP, true)]))
  nft.commit(batch, undefined)
}

/** undefined when there is none, as in a namespace that was just made. */
export function formerTable(nft: Nft): FormerTable | undefined {
  if (nft.findTable('ip', TABLE) === undefined) return undefined
  const [udp, tcp] = elementsOf(nft).map(one => {
    const data = one?.data
    // An address, and a port in the first half of four bytes.
    return data?.length === 8 ? ((data[4] ?? 0) << 8) | (data[5] ?? 0) : undefined
  })
  return { ports: udp === undefined || tcp === undefined ? undefined : { udp, tcp } }
}

/** Whether port 53 leads to these ports. */
export function leadsTo(nft: Nft, ports: Ports): boolean {
  try {
    const found = formerTable(nft)?.ports
    return found?.udp === ports.udp && found.tcp === ports.tcp
  } catch {
    // No nf_tables there.
    return false
  }
}

/** The container may have made a table of this name with a map of another kind, which is replaced. */
function elementsOf(nft: Nft): readonly (NftElement | undefined)[] {
  try {
    return nft.findElements('ip', TABLE, MAP, [keyOf(IPPROTO_UDP), keyOf(IPPROTO_TCP)])
  } catch {
    return []
  }
}

export function removeTranslation(nft: Nft): void {
  if (nft.findTable('ip', TABLE) === undefined) return
  const batch = new NftBatch()
  batch.removeTable('ip', TABLE)
  nft.commit(batch, undefined)
}

function keyOf(protocol: number): Uint8Array {
  return concatenate([resolverField(), protocolField(protocol), portField(DNS_PORT)])
}

function resolverField(): Uint8Array {
  const address = parseAddress(RESOLVER)
  if (address === undefined) throw new Error(`no address: ${RESOLVER}`)
  return addressField(address)
}
