/**
 * Chains: plain ones that rules jump to, and base chains that the kernel calls at a hook.
 *
 *     chain prerouting { type nat hook prerouting priority -100; policy accept; }
 *
 * @source linux/netfilter/nf_tables.h enum nft_chain_attributes, enum nft_hook_attributes; linux/netfilter.h
 *   enum nf_inet_hooks
 */
import { encodeRows, nest, type Rows } from '../rows.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'

export const NF_INET_PRE_ROUTING = 0
export const NF_INET_LOCAL_IN = 1
export const NF_INET_FORWARD = 2
export const NF_INET_LOCAL_OUT = 3
export const NF_INET_POST_ROUTING = 4

export const NF_DROP = 0
export const NF_ACCEPT = 1

interface NfChain {
  readonly family: number
  readonly table: string
  readonly name: string
  /** Set for base chains. */
  readonly hook: NfHook | undefined
  /** Rules in it plus jumps to it from rules and map elements; what the kernel answers, not part of a request. */
  readonly use: number
}

export interface NfHook {
  /** `filter`, `nat` or `route` */
  readonly type: string
  /** NF_INET_*, which the bridge family shares */
  readonly number: number
  /** Lower numbers are called first. */
  readonly priority: number
  /** NF_ACCEPT or NF_DROP: what becomes of packets that no rule decides; undefined = the kernel's default, accept */
  readonly policy: number | undefined
}

/** struct nfgenmsg and the chain's attributes. */
interface ChainMessage {
  readonly family: number
  readonly table?: string | undefined
  readonly name?: string | undefined
  readonly type?: string | undefined
  readonly place?: HookPlace | undefined
  readonly policy?: number | undefined
  readonly use?: number | undefined
}

/** NFTA_CHAIN_HOOK */
interface HookPlace {
  readonly number: number | undefined
  readonly priority: number | undefined
}

function chainRows(rows: Rows, chain: ChainMessage): ChainMessage {
  const nowhere: HookPlace = { number: undefined, priority: undefined }
  return {
    family: familyRows(rows, chain.family),
    table: rows.text(1, 'NFTA_CHAIN_TABLE', chain.table, NFT_NAME_MAXLEN),
    name: rows.text(3, 'NFTA_CHAIN_NAME', chain.name, NFT_NAME_MAXLEN),
    type: rows.text(7, 'NFTA_CHAIN_TYPE', chain.type, NFT_NAME_MAXLEN),
    place: nest(rows.at(4, 'NFTA_CHAIN_HOOK'), chain.place, nowhere, placeRows),
    policy: rows.u32be(5, 'NFTA_CHAIN_POLICY', chain.policy),
    use: rows.u32be(6, 'NFTA_CHAIN_USE', chain.use)
  }
}

function placeRows(rows: Rows, place: HookPlace): HookPlace {
  return {
    number: rows.u32be(1, 'NFTA_HOOK_HOOKNUM', place.number),
    priority: rows.i32be(2, 'NFTA_HOOK_PRIORITY', place.priority)
  }
}

/** For NEWCHAIN. */
export function encodeChain(chain: NfChain): Uint8Array {
  const { family, table, name, hook } = chain
  const place = hook === undefined ? undefined : { number: hook.number, priority: hook.priority }
  return encodeRows({ family, table, name, type: hook?.type, place, policy: hook?.policy }, chainRows)
}

/** For GETCHAIN and DELCHAIN. */
export function encodeChainName(family: number, table: string, name: string): Uint8Array {
  return encodeRows({ family, table, name }, chainRows)
}

/** @throws {DecodeError} */
export function decodeChain(payload: Uint8Array): NfChain {
  const { family, table, name, type, place, policy, use } = chainRows(readingNfRows(payload), { family: 0 })
  const hook =
    place === undefined
      ? undefined
      : { type: type ?? '', number: place.number ?? 0, priority: place.priority ?? 0, policy }
  return { family, table: table ?? '', name: name ?? '', hook, use: use ?? 0 }
}
