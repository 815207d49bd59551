/**
 * Neighbours and forwarding databases by rtnetlink.
 *
 * @source linux/neighbour.h; net/core/neighbour.c, net/core/rtnetlink.c rtnl_fdb_add, net/bridge/br_fdb.c
 */
import { formatMac } from '../ip/mac.ts'
import { type Conn, type Request, refusal } from '../netlink/conn.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/message.ts'
import { AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC } from '../netlink/rt/link.ts'
import {
  decodeNeighbour,
  EMPTY_NEIGHBOUR,
  encodeNeighbour,
  type NeighbourMessage,
  NTF_EXT_LEARNED,
  NTF_MASTER,
  NTF_PROXY,
  NTF_ROUTER,
  NTF_SELF,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_REACHABLE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH
} from '../netlink/rt/neighbour.ts'
import { linkNumber } from './kernel-links.ts'
import { Fdb, type FdbEntry, type Neighbour, type NeighbourState, Neighbours } from './neighbours.ts'

/** linux/neighbour.h NUD_*: bit n is the n-th name */
const STATES: readonly NeighbourState[] = [
  'incomplete',
  'reachable',
  'stale',
  'delay',
  'probe',
  'failed',
  'noarp',
  'permanent'
]

function stateOf(bits: number): NeighbourState {
  for (let i = 0; i < STATES.length; i += 1) if ((bits & (1 << i)) !== 0) return STATES[i] ?? 'none'
  return 'none'
}

export class KernelNeighbours extends Neighbours {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(index?: number): readonly Neighbour[] {
    // Proxy entries are a table of their own.
    return dumpNeighbours(this.#conn, index ?? 0, 0).concat(dumpNeighbours(this.#conn, index ?? 0, NTF_PROXY))
  }
}

/** What `bridge fdb` calls it, and the message that does it. */
interface FdbVerb {
  readonly word: string
  readonly type: number
  readonly flags: number
}

const SET_FDB: FdbVerb = { word: 'set', type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE }
const APPEND_FDB: FdbVerb = { word: 'append', type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_APPEND }
const REMOVE_FDB: FdbVerb = { word: 'remove', type: RTM_DELNEIGH, flags: 0 }

export class KernelFdb extends Fdb {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(index: number): readonly FdbEntry[] {
    const payload = encodeNeighbour({ ...EMPTY_NEIGHBOUR, family: AF_BRIDGE, index })
    const listed: FdbEntry[] = []
    for (const answer of this.#conn.dump('list fdb', `of ${linkNumber(index)}`, RTM_GETNEIGH, payload)) {
      const message = decodeNeighbour(answer)
      if (message.mac === undefined || message.index !== index) continue
      listed.push(fdbOf(message, message.mac))
    }
    return listed
  }

  override set(index: number, entry: FdbEntry): void {
    this.#conn.execute(fdbRequest(SET_FDB, index, entry))
  }

  override append(index: number, entry: FdbEntry): void {
    this.#conn.execute(fdbRequest(APPEND_FDB, index, entry))
  }

  override remove(index: number, entry: FdbEntry): boolean {
    return removed(this.#conn, fdbRequest(REMOVE_FDB, index, entry))
  }
}

function dumpNeighbours(conn: Conn, index: number, flags: number): readonly Neighbour[] {
  // The link to list is an attribute here; in the header a strictly checking kernel refuses it.
  const viaIndex = index === 0 ? undefined : index
  const payload = encodeNeighbour({ ...EMPTY_NEIGHBOUR, family: AF_UNSPEC, flags, viaIndex })
  const listed: Neighbour[] = []
  for (const answer of conn.dump('list', 'neighbours', RTM_GETNEIGH, payload)) {
    const message = decodeNeighbour(answer)
    if (message.dst === undefined || (message.family !== AF_INET && message.family !== AF_INET6)) continue
    if (index !== 0 && message.index !== index) continue
    listed.push({
      index: message.index,
      address: message.dst,
      mac: message.mac,
      state: stateOf(message.state),
      proxy: (message.flags & NTF_PROXY) !== 0,
      router: (message.flags & NTF_ROUTER) !== 0,
      extLearn: (message.flags & NTF_EXT_LEARNED) !== 0
    })
  }
  return listed
}

function fdbOf(message: NeighbourMessage, mac: Uint8Array): FdbEntry {
  const self = (message.flags & NTF_SELF) !== 0
  return {
    mac,
    dst: message.dst,
    vlan: message.vlan,
    self,
    master: !self && message.masterIndex !== undefined,
    permanent: (message.state & (NUD_PERMANENT | NUD_NOARP)) !== 0,
    local: !self && (message.state & NUD_PERMANENT) !== 0,
    extLearn: (message.flags & NTF_EXT_LEARNED) !== 0,
    vni: message.vni,
    port: message.port,
    viaIndex: message.viaIndex
  }
}

/** As `bridge fdb`: in the device's own table unless the bridge's is asked for. */
function fdbRequest(verb: FdbVerb, index: number, entry: FdbEntry): Request {
  const ownTable = entry.self ?? entry.master !== true
  const table = (ownTable ? NTF_SELF : 0) | (entry.master === true ? NTF_MASTER : 0)
  return {
    operation: `${verb.word} fdb entry`,
    object: `${formatMac(entry.mac)} of ${linkNumber(index)}`,
    type: verb.type,
    flags: verb.flags,
    payload: encodeNeighbour({
      ...EMPTY_NEIGHBOUR,
      family: AF_BRIDGE,
      index,
      state: fdbState(entry, ownTable),
      flags: table | (entry.extLearn === true ? NTF_EXT_LEARNED : 0),
      dst: entry.dst,
      mac: entry.mac,
      vlan: entry.vlan,
      port: entry.port,
      vni: entry.vni,
      viaIndex: entry.viaIndex
    }),
    answer: 'acknowledgement'
  }
}

/**
 * A bridge takes NUD_PERMANENT for "the port's own address", frames to which go up the host's stack; an entry
 * that shall lead out of the port and never expire is NUD_NOARP there.
 */
function fdbState(entry: FdbEntry, ownTable: boolean): number {
  if (entry.local === true) return NUD_PERMANENT
  if (entry.permanent === false) return NUD_REACHABLE
  return ownTable ? NUD_PERMANENT : NUD_NOARP
}

function removed(conn: Conn, request: Request): boolean {
  const answer = conn.attempt(request)
  if (answer.errno === '') return true
  if (answer.errno === 'ENOENT') return false
  throw refusal(answer)
}
