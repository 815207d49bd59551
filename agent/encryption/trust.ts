/** Who of the registry's hosts becomes a peer, and who is refused. Pure. */
import { formatAddress } from '../../lib/ip/address.ts'
import { formatPrefix, type IpPrefix } from '../../lib/ip/prefix.ts'
import { addressOfKey, endpointText, type KeyRecord, keyFromValue } from './key-record.ts'

export interface Peer extends KeyRecord {
  readonly host: string
}

export interface Refusal {
  readonly host: string
  /** '' when it could not be read */
  readonly key: string
  /** What is wrong, as the end of a sentence about the host. */
  readonly why: string
}

/** What this host judges by. */
export interface Judge {
  readonly host: string
  readonly key: string
  /** Of the underlay's addresses, 4 or 6 */
  readonly family: number
  readonly range: IpPrefix
  readonly trustFirst: boolean
  /** Keys by host. */
  readonly known: ReadonlyMap<string, string>
}

export interface Verdict {
  readonly peers: readonly Peer[]
  readonly refused: readonly Refusal[]
}

/**
 * Judges all hosts. Those that are known come first: a newcomer that presents what is another's must not take its place.
 *
 * @param records the registry's values, by host
 */
export function judgeHosts(records: ReadonlyMap<string, string>, judge: Judge): Verdict {
  const peers = new Peers(judge)
  const refused: Refusal[] = []
  const rank = (host: string): number => (judge.known.has(host) ? 0 : 1)
  const hosts = [...records.keys()].filter(host => host !== judge.host)
  for (const host of hosts.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))) {
    const record = keyFromValue(records.get(host) ?? '')
    const why = record === undefined ? 'has told nothing that is a key' : whyNot(host, record, judge, peers)
    if (record === undefined || why !== '') refused.push({ host, key: record?.key ?? '', why })
    else peers.add({ host, ...record })
  }
  return { peers: peers.list, refused }
}

/** Those who are believed, by what no two hosts can share. */
class Peers {
  readonly list: Peer[] = []
  readonly #hosts = new Map<string, string>()
  readonly #addresses: Set<string>

  constructor({ key, range }: Judge) {
    this.#addresses = new Set([formatAddress(addressOfKey(key, range))])
  }

  add(peer: Peer): void {
    this.list.push(peer)
    this.#hosts.set(peer.key, peer.host)
    this.#addresses.add(formatAddress(peer.address))
  }

  ownerOf(key: string): string | undefined {
    return this.#hosts.get(key)
  }

  hasAddress(text: string): boolean {
    return this.#addresses.has(text)
  }
}

function whyNot(host: string, record: KeyRecord, judge: Judge, peers: Peers): string {
  const { key, address, endpoint } = record
  const known = judge.known.get(host)
  const command = `patchbay agent trust ${host}`
  if (known === undefined && !judge.trustFirst)
    return `presents key ${key}, and nobody has said yet that it is its: ${command}`
  if (known !== undefined && known !== key)
    return `presents key ${key}, but is known by ${known}: if it was set up anew, ${command}`
  if (key === judge.key) return "presents this host's own key: one is a copy of the other, and needs a key of its own"
  const twin = peers.ownerOf(key)
  if (twin !== undefined) return `presents the key of ${twin}: one is a copy of the other, and needs a key of its own`
  const text = formatAddress(address)
  if (text !== formatAddress(addressOfKey(key, judge.range)))
    return `has address ${text}, which is not that of its key in ${formatPrefix(judge.range)}: "encryption.range" must be the same on all hosts`
  if (peers.hasAddress(text))
    return `comes out at address ${text}, as another host does: take a larger "encryption.range", or another key`
  if (endpoint.address.family !== judge.family)
    return `is at ${endpointText(endpoint)}, and this host's underlay is IPv${judge.family}: name addresses of one family in "underlay.local"`
  return ''
}
