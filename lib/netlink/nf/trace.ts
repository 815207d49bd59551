/**
 * What rules did with a packet that is traced (`meta nftrace set 1`): events of the group NFNLGRP_NFTRACE, which
 * `nft monitor trace` shows.
 *
 * @source linux/netfilter/nf_tables.h enum nft_trace_attributes, enum nft_trace_types; linux/netfilter/nfnetlink.h enum
 *   nfnetlink_groups; net/netfilter/nf_tables_trace.c
 */
import { encodeRows, nest, type Rows } from '../rows.ts'
import { VERDICTS, type VerdictName } from './data.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'

export const NFNLGRP_NFTRACE = 9
export const NFT_MSG_TRACE = 17

/** enum nft_trace_types, by number: a base chain's policy, the end of a chain, a rule. */
const TYPES = [
  { value: 1, name: 'policy' },
  { value: 2, name: 'return' },
  { value: 3, name: 'rule' }
]
const POLICIES: readonly VerdictName[] = ['drop', 'accept']

export interface NfTrace {
  /** Of the table: NFPROTO_*. */
  readonly family: number
  readonly table: string
  readonly chain: string
  /** 0 for what no rule did. */
  readonly handle: number
  readonly type: 'policy' | 'return' | 'rule' | ''
  /** What the rule or the end of the chain said; undefined where nothing did. */
  readonly verdict: TraceVerdict | undefined
  /** Of `type: policy`. */
  readonly policy: VerdictName | undefined
  /** The same for a packet while it passes a hook, most often. */
  readonly id: number
  /** Indexes of links; 0 = none. */
  readonly inputIndex: number
  readonly outputIndex: number
  /** With the first event of a chain: the first 40 bytes of the packet, and the first 20 behind its IP header. */
  readonly networkHeader: Uint8Array | undefined
  readonly transportHeader: Uint8Array | undefined
}

interface TraceVerdict {
  /** '' for what has no name here: queue, stolen. */
  readonly name: VerdictName | ''
  /** Of jump and goto; else ''. */
  readonly chain: string
}

const EMPTY: NfTrace = {
  family: 0,
  table: '',
  chain: '',
  handle: 0,
  type: '',
  verdict: undefined,
  policy: undefined,
  id: 0,
  inputIndex: 0,
  outputIndex: 0,
  networkHeader: undefined,
  transportHeader: undefined
}

function traceRows(rows: Rows, trace: NfTrace): NfTrace {
  const policy = trace.policy === undefined ? undefined : POLICIES.indexOf(trace.policy)
  return {
    family: familyRows(rows, trace.family),
    table: rows.text(1, 'NFTA_TRACE_TABLE', trace.table, NFT_NAME_MAXLEN) ?? '',
    chain: rows.text(2, 'NFTA_TRACE_CHAIN', trace.chain, NFT_NAME_MAXLEN) ?? '',
    handle: rows.u64be(3, 'NFTA_TRACE_RULE_HANDLE', orNone(trace.handle)) ?? 0,
    type: typeRow(rows, trace.type),
    verdict: nest(rows.at(5, 'NFTA_TRACE_VERDICT'), trace.verdict, { name: '', chain: '' }, verdictRows),
    id: rows.u32be(6, 'NFTA_TRACE_ID', trace.id) ?? 0,
    networkHeader: rows.bytes(8, 'NFTA_TRACE_NETWORK_HEADER', trace.networkHeader),
    transportHeader: rows.bytes(9, 'NFTA_TRACE_TRANSPORT_HEADER', trace.transportHeader),
    inputIndex: rows.u32be(10, 'NFTA_TRACE_IIF', orNone(trace.inputIndex)) ?? 0,
    outputIndex: rows.u32be(12, 'NFTA_TRACE_OIF', orNone(trace.outputIndex)) ?? 0,
    policy: POLICIES[rows.u32be(16, 'NFTA_TRACE_POLICY', policy) ?? -1]
  }
}

function verdictRows(rows: Rows, { name, chain }: TraceVerdict): TraceVerdict {
  const read = rows.choiceU32be(1, 'NFTA_VERDICT_CODE', name === '' ? undefined : name, VERDICTS)
  const target = rows.text(2, 'NFTA_VERDICT_CHAIN', chain === '' ? undefined : chain, NFT_NAME_MAXLEN)
  return { name: (read ?? '') as VerdictName | '', chain: target ?? '' }
}

function typeRow(rows: Rows, type: NfTrace['type']): NfTrace['type'] {
  return (rows.choiceU32be(4, 'NFTA_TRACE_TYPE', type === '' ? undefined : type, TYPES) ?? '') as NfTrace['type']
}

function orNone(value: number): number | undefined {
  return value === 0 ? undefined : value
}

/** @throws {DecodeError} */
export function decodeTrace(payload: Uint8Array): NfTrace {
  return traceRows(readingNfRows(payload), EMPTY)
}

/** As the kernel sends it, for tests. */
export function encodeTrace(trace: NfTrace): Uint8Array {
  return encodeRows(trace, traceRows)
}
