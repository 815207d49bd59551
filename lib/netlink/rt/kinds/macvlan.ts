/**
 * A macvlan link: a MAC address of its own on the parent link.
 *
 * @source linux/if_link.h enum IFLA_MACVLAN_*, enum macvlan_mode; types by drivers/net/macvlan.c macvlan_policy
 */
import type { Attribute } from '../../reader.ts'
import { type Choice, nest, type Rows } from '../rows.ts'

export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru' | 'source'

export interface MacvlanInfo {
  readonly kind: 'macvlan'
  readonly mode?: MacvlanMode | undefined
  /** MACVLAN_FLAG_* */
  readonly flags?: number | undefined
  /** What to do with `macs`; only ever sent. */
  readonly macsMode?: 'add' | 'del' | 'flush' | 'set' | undefined
  /** The senders that mode `source` lets in. */
  readonly macs?: readonly Uint8Array[] | undefined
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

interface Macs {
  readonly list: readonly Uint8Array[]
  readonly unknown: readonly Attribute[] | undefined
}

export function macvlanRows(rows: Rows, macvlan: MacvlanInfo): MacvlanInfo {
  const macs: Macs | undefined = macvlan.macs === undefined ? undefined : { list: macvlan.macs, unknown: undefined }
  return {
    kind: 'macvlan',
    mode: rows.choiceU32(1, 'IFLA_MACVLAN_MODE', macvlan.mode, MODES) as MacvlanMode | undefined,
    flags: rows.u16(2, 'IFLA_MACVLAN_FLAGS', macvlan.flags),
    macsMode: rows.choiceU32(3, 'IFLA_MACVLAN_MACADDR_MODE', macvlan.macsMode, MACS_MODES) as
      | 'add'
      | 'del'
      | 'flush'
      | 'set'
      | undefined,
    macs: nest(rows, 5, 'IFLA_MACVLAN_MACADDR_DATA', macs, { list: [], unknown: undefined }, macRows)?.list,
    macCount: rows.u32(6, 'IFLA_MACVLAN_MACADDR_COUNT', macvlan.macCount),
    bcQueueLength: rows.u32(7, 'IFLA_MACVLAN_BC_QUEUE_LEN', macvlan.bcQueueLength),
    bcQueueLengthUsed: rows.u32(8, 'IFLA_MACVLAN_BC_QUEUE_LEN_USED', macvlan.bcQueueLengthUsed),
    unknown: rows.unknown(macvlan.unknown)
  }
}

function macRows(rows: Rows, macs: Macs): Macs {
  return {
    list: rows.bytesList(4, 'IFLA_MACVLAN_MACADDR', macs.list, 6),
    unknown: rows.unknown(macs.unknown)
  }
}
