/**
 * Forwarding and neighbour entries in bulk: one send for many. What the agent writes bears the mark "learned by a control
 * plane" (extern_learn), by which it knows its own again.
 *
 * @source linux/neighbour.h; net/bridge/br_fdb.c, drivers/net/vxlan/vxlan_core.c, net/bridge/br_arp_nd_proxy.c
 */
import { formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { formatMac, parseMac } from '../lib/ip/mac.ts'
import { connectToKernel } from '../lib/net/kernel-net.ts'
import { type Answer, type Request, refusal } from '../lib/netlink/conn.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE } from '../lib/netlink/message.ts'
import { AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC } from '../lib/netlink/rt/link.ts'
import {
  decodeNeighbour,
  EMPTY_NEIGHBOUR,
  encodeNeighbour,
  type NeighbourMessage,
  NTF_EXT_LEARNED,
  NTF_MASTER,
  NTF_SELF,
  NUD_PERMANENT,
  NUD_REACHABLE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH
} from '../lib/netlink/rt/neighbour.ts'
import { NETLINK_ROUTE } from '../lib/sys/netlink-socket.ts'

const ZERO_MAC = '00:00:00:00:00:00'
/** The event loop gets its turn after so many. */
const AT_ONCE = 512

/** What the kernel has for one overlay network, of ours. */
export interface KernelEntries {
  /** MAC to VTEP, in the tunnel's table. */
  readonly remote: ReadonlyMap<string, string>
  /** MACs that the bridge sends into the tunnel. */
  readonly bridged: ReadonlySet<string>
  readonly flooded: ReadonlySet<string>
  /** Address to MAC, on the bridge. */
  readonly neighbours: ReadonlyMap<string, string>
}

export class KernelTables {
  readonly #rt = connectToKernel(NETLINK_ROUTE, -1)
  /** Entries written and removed, for the metrics. */
  written = 0
  removed = 0
  /** How often a network's tables were read as a whole. */
  compared = 0

  close(): void {
    this.#rt.close()
  }

  read(tunnelIndex: number, bridgeIndex: number): KernelEntries {
    this.compared += 1
    const remote = new Map<string, string>()
    const bridged = new Set<string>()
    const flooded = new Set<string>()
    for (const entry of this.#dump({ ...EMPTY_NEIGHBOUR, family: AF_BRIDGE, index: tunnelIndex })) {
      if (entry.index !== tunnelIndex || entry.mac === undefined) continue
      const mac = formatMac(entry.mac)
      const isOurs = (entry.flags & NTF_EXT_LEARNED) !== 0
      if ((entry.flags & NTF_SELF) === 0) {
        if (isOurs) bridged.add(mac)
      } else if (entry.dst !== undefined) {
        if (mac === ZERO_MAC) flooded.add(formatAddress(entry.dst))
        else if (isOurs) remote.set(mac, formatAddress(entry.dst))
      }
    }
    return { remote, bridged, flooded, neighbours: this.#readNeighbours(bridgeIndex) }
  }

  #readNeighbours(bridgeIndex: number): ReadonlyMap<string, string> {
    const neighbours = new Map<string, string>()
    for (const entry of this.#dump({ ...EMPTY_NEIGHBOUR, family: AF_UNSPEC, viaIndex: bridgeIndex })) {
      if (entry.index !== bridgeIndex || entry.dst === undefined || entry.mac === undefined) continue
      if ((entry.flags & NTF_EXT_LEARNED) !== 0) neighbours.set(formatAddress(entry.dst), formatMac(entry.mac))
    }
    return neighbours
  }

  *#dump(filter: NeighbourMessage): Generator<NeighbourMessage> {
    const answers = this.#rt.dump('list', 'entries', RTM_GETNEIGH, encodeNeighbour(filter))
    for (const answer of answers) yield decodeNeighbour(answer)
  }

  /** Carries the requests out in their order. @returns the first refusal that matters */
  async apply(requests: Iterable<Request>): Promise<Error | undefined> {
    let failure: Error | undefined
    // Taken from the generator a portion at a time: all of a large network at once would be most of the memory.
    const source = requests[Symbol.iterator]()
    for (let some = portion(source); some.length > 0; some = portion(source)) {
      const answers = this.#rt.batch(some)
      for (const answer of answers) failure ??= this.#judge(answer)
      await new Promise(resolve => setImmediate(resolve))
    }
    return failure
  }

  #judge(answer: Answer): Error | undefined {
    const isRemoval = answer.request.type === RTM_DELNEIGH
    if (answer.errno === '') {
      if (isRemoval) this.removed += 1
      else this.written += 1
      return undefined
    }
    return answer.errno === (isRemoval ? 'ENOENT' : 'EEXIST') ? undefined : refusal(answer)
  }
}

function portion(source: Iterator<Request>): readonly Request[] {
  const some: Request[] = []
  while (some.length < AT_ONCE) {
    const next = source.next()
    if (next.done === true) break
    some.push(next.value)
  }
  return some
}

/** Frames to the MAC go into the tunnel and there to the host. One request for both tables. */
export function sendTo(tunnelIndex: number, mac: string, vtep: string): Request {
  return bridgeEntry(`set fdb entry ${mac}`, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, {
    index: tunnelIndex,
    // Not "permanent", which would be the bridge's own address; ours never age all the same.
    state: NUD_REACHABLE,
    flags: NTF_SELF | NTF_MASTER | NTF_EXT_LEARNED,
    mac: parseMac(mac),
    dst: parseAddress(vtep)
  })
}

/** Two requests: when one table has lost the entry, the kernel would not look into the other. */
export function stopSending(tunnelIndex: number, mac: string): readonly Request[] {
  return [NTF_SELF, NTF_MASTER].map(flags =>
    bridgeEntry(`remove fdb entry ${mac}`, RTM_DELNEIGH, 0, { index: tunnelIndex, flags, mac: parseMac(mac) })
  )
}

export function flood(tunnelIndex: number, vtep: string, isWanted: boolean): Request {
  return bridgeEntry(
    `${isWanted ? 'flood to' : 'stop flooding to'} ${vtep}`,
    isWanted ? RTM_NEWNEIGH : RTM_DELNEIGH,
    isWanted ? NLM_F_CREATE | NLM_F_APPEND : 0,
    { index: tunnelIndex, state: NUD_PERMANENT, flags: NTF_SELF, mac: parseMac(ZERO_MAC), dst: parseAddress(vtep) }
  )
}

/** The bridge answers questions for the address itself. */
export function setNeighbour(bridgeIndex: number, ip: string, mac: string): Request {
  return neighbour(RTM_NEWNEIGH, ip, {
    index: bridgeIndex,
    state: NUD_PERMANENT,
    flags: NTF_EXT_LEARNED,
    mac: parseMac(mac)
  })
}

export function removeNeighbour(bridgeIndex: number, ip: string): Request {
  return neighbour(RTM_DELNEIGH, ip, { index: bridgeIndex })
}

function bridgeEntry(operation: string, type: number, flags: number, entry: Partial<NeighbourMessage>): Request {
  const payload = encodeNeighbour({ ...EMPTY_NEIGHBOUR, family: AF_BRIDGE, ...entry })
  return { operation, object: `of link ${entry.index}`, type, flags, payload, answer: 'acknowledgement' }
}

function neighbour(type: number, ip: string, entry: Partial<NeighbourMessage>): Request {
  const dst: IpAddress | undefined = parseAddress(ip)
  const family = dst?.family === 6 ? AF_INET6 : AF_INET
  return {
    operation: `${type === RTM_NEWNEIGH ? 'set' : 'remove'} neighbour ${ip}`,
    object: `of link ${entry.index}`,
    type,
    flags: type === RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0,
    payload: encodeNeighbour({ ...EMPTY_NEIGHBOUR, family, dst, ...entry }),
    answer: 'acknowledgement'
  }
}
