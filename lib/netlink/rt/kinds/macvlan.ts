/**
 * A macvlan link: a MAC address of its own on the parent link.
 *
 * @source linux/if_link.h enum IFLA_MACVLAN_*, enum macvlan_mode; types by drivers/net/macvlan.c macvlan_policy
 */
import { type Attribute, type Choice, nest, type Rows } from '../../rows.ts'

export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru' | 'source'

type MacsMode = 'add' | 'del' | 'flush' | 'set'

export interface MacvlanInfo {
  readonly kind: 'macvlan'
  readonly mode?: MacvlanMode | undefined
  /** MACVLAN_FLAG_* */
  readonly flags?: number | undefined
  /** What to do with `macs`; only ever sent. */
  readonly macsMode?: MacsMode | undefined
  /** The senders that mode `source` lets in. */
  readonly macs?: readonly Uint8Array[] | undefined
  /** What else is among `macs`. */
  readonly unknownMacs?: readonly Attribute[] | undefined
  readonly macCount?: number | undefined
  /** packets; the length of the queue for broadcasts that was asked for */
  readonly bcQueueLength?: number | undefined
  /** packets; the longest asked for by any macvlan of the parent, which is what counts */
  readonly bcQueueLengthUsed?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

const MODES: readonly Choice[] = [
  { value: 1, name: 'private' },
  { value: 2, name: 'vepa' },
  { value: 4, name: 'bridge' },
  { value: 8, name: 'passthru' },
  { value: 16, name: 'source' }
]

/** enum macvlan_macaddr_mode */
const MACS_MODES: readonly Choice[] = [
  { value: 0, name: 'add' },
  { value: 1, name: 'del' },
  { value: 2, name: 'flush' },
  { value: 3, name: 'set' }
]

/** IFLA_MACVLAN_MACADDR_DATA */
interface Macs {
  readonly macs: readonly Uint8Array[]
  readonly unknown: readonly Attribute[] | undefined
}

export function macvlanRows(rows: Rows, v: MacvlanInfo): MacvlanInfo {
  const mode = rows.choiceU32(1, 'IFLA_MACVLAN_MODE', v.mode, MODES) as MacvlanMode | undefined
  const flags = rows.u16(2, 'IFLA_MACVLAN_FLAGS', v.flags)
  const macsMode = rows.choiceU32(3, 'IFLA_MACVLAN_MACADDR_MODE', v.macsMode, MACS_MODES) as MacsMode | undefined
  const given: Macs | undefined = v.macs === undefined ? undefined : { macs: v.macs, unknown: v.unknownMacs }
  const list = nest(rows.at(5, 'IFLA_MACVLAN_MACADDR_DATA'), given, { macs: [], unknown: undefined }, macRows)
  return {
    kind: 'macvlan',
    mode,
    flags,
    macsMode,
    macs: list?.macs,
    unknownMacs: list?.unknown,
    macCount: rows.u32(6, 'IFLA_MACVLAN_MACADDR_COUNT', v.macCount),
    bcQueueLength: rows.u32(7, 'IFLA_MACVLAN_BC_QUEUE_LEN', v.bcQueueLength),
    bcQueueLengthUsed: rows.u32(8, 'IFLA_MACVLAN_BC_QUEUE_LEN_USED', v.bcQueueLengthUsed),
    unknown: rows.unknown(v.unknown)
  }
}

function macRows(rows: Rows, macs: Macs): Macs {
  return {
    macs: rows.bytesList(4, 'IFLA_MACVLAN_MACADDR', macs.macs, 6),
    unknown: rows.unknown(macs.unknown)
  }
}
