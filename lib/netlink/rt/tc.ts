/**
 * Traffic control: queueing disciplines (RTM_*QDISC) and filters (RTM_*TFILTER), of which Patchbay uses the token bucket,
 * the hooks for what comes in, and one filter that sends everything out of another link.
 *
 * @source linux/rtnetlink.h struct tcmsg, enum TCA_*; linux/pkt_sched.h TC_H_*, struct tc_tbf_qopt;
 *   linux/pkt_cls.h struct tc_u32_sel; linux/tc_act/tc_mirred.h struct tc_mirred
 */
import { Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { type Attribute, encodeRows, nest, type Rows, readingRows } from '../rows.ts'

export const RTM_NEWQDISC = 36
export const RTM_DELQDISC = 37
export const RTM_GETQDISC = 38
export const RTM_NEWTFILTER = 44
export const RTM_GETTFILTER = 46

// Handles and parents: major * 65536 + minor.

/** As a qdisc's parent: the queue for what the link sends. */
export const TC_H_ROOT = 0xffffffff
/** As a qdisc's parent: `ingress` and `clsact`, of which a link has at most one. */
export const TC_H_INGRESS = 0xfffffff1
/** The handle `ffff:` of `ingress` and `clsact`; of `ingress` also the parent of its filters. */
export const INGRESS_HANDLE = 0xffff0000
/** The parents of clsact's filters: TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) and TC_H_MIN_EGRESS. */
export const CLSACT_INGRESS = 0xfffffff2
export const CLSACT_EGRESS = 0xfffffff3
/** The handle `1:` that root queues get here. */
export const ROOT_HANDLE = 0x10000

/** Everything, whatever its protocol (linux/if_ether.h). */
export const ETH_P_ALL = 3
/** Takes the packet away from the path it was on (linux/pkt_cls.h). */
const TC_ACT_STOLEN = 4
const TCA_EGRESS_REDIR = 1
const TCA_INGRESS_REDIR = 3
const TC_U32_TERMINAL = 1

/** The payload of every message here. A field that is not for the message's kind is undefined. */
export interface TcMessage {
  /** Of the link. */
  readonly index: number
  readonly handle: number
  readonly parent: number
  /** Of a filter: `filterInfo`. */
  readonly info: number
  /** `tbf`, `ingress`, `u32` … */
  readonly kind?: string | undefined
  readonly tbf?: TbfOptions | undefined
  readonly u32?: U32Options | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** A token bucket as the kernel counts it. */
export interface TbfOptions {
  /** bytes per second */
  readonly rate: number
  /** bytes that may wait */
  readonly limit: number
  /** How long the full bucket lasts at `rate`, in ticks of 64 ns; what the kernel shows is cut to 32 bits. */
  readonly buffer: number
  /** bytes in the full bucket; overrides `buffer`, and is never shown */
  readonly burst?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** A u32 filter. Written, it matches every packet. */
interface U32Options {
  /** Its action mirred sends the packet out of this link; undefined when reading another action. */
  readonly redirectIndex: number | undefined
  /** Into that link, as if it had received the packet. */
  readonly isIngress?: boolean | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export function encodeTc(message: TcMessage): Uint8Array {
  return encodeRows(message, tcRows)
}

/** @throws {DecodeError} for bytes that are no such message */
export function decodeTc(payload: Uint8Array): TcMessage {
  return tcRows(readingRows(payload, 'tcmsg'), { index: 0, handle: 0, parent: 0, info: 0 })
}

/** What `tcm_info` says of a filter: TC_H_MAKE(priority << 16, htons(protocol)). */
export function filterInfo(priority: number, protocol: number): number {
  return priority * 65536 + swap16(protocol)
}

export function filterPriority(info: number): number {
  return Math.floor(info / 65536)
}

export function filterProtocol(info: number): number {
  return swap16(info % 65536)
}

function swap16(value: number): number {
  return (value % 256) * 256 + Math.floor(value / 256)
}

function tcRows(rows: Rows, tc: TcMessage): TcMessage {
  rows.fixedU8('tcm_family', 0)
  rows.fixedU8('tcm__pad1', 0)
  rows.fixedU16('tcm__pad2', 0)
  const index = rows.fixedI32('tcm_ifindex', tc.index)
  const handle = rows.fixedU32('tcm_handle', tc.handle)
  const parent = rows.fixedU32('tcm_parent', tc.parent)
  const info = rows.fixedU32('tcm_info', tc.info)
  const kind = rows.text(1, 'TCA_KIND', tc.kind, 16)
  const tbf =
    kind === 'tbf' ? nest(rows.at(2, 'TCA_OPTIONS'), tc.tbf, { rate: 0, limit: 0, buffer: 0 }, tbfRows) : undefined
  const u32 =
    kind === 'u32' ? nest(rows.at(2, 'TCA_OPTIONS'), tc.u32, { redirectIndex: undefined }, u32Rows) : undefined
  return { index, handle, parent, info, kind, tbf, u32, unknown: rows.unknown(tc.unknown) }
}

const TBF_PARMS = 36
const UINT32 = 4294967296

/** struct tc_tbf_qopt, with a 64-bit rate beside it where 32 bits are too few. */
function tbfRows(rows: Rows, tbf: TbfOptions): TbfOptions {
  const shown = rows.bytes(1, 'TCA_TBF_PARMS', tbfParms(tbf), TBF_PARMS) ?? new Uint8Array(TBF_PARMS)
  const rate64 = rows.u64(4, 'TCA_TBF_RATE64', tbf.rate < UINT32 ? undefined : tbf.rate)
  const burst = rows.u32(6, 'TCA_TBF_BURST', tbf.burst)
  const reader = new Reader(shown, 'tc_tbf_qopt')
  reader.skip(8)
  const rate = reader.u32()
  reader.skip(12)
  const limit = reader.u32()
  const buffer = reader.u32()
  return { rate: rate64 ?? rate, limit, buffer, burst, unknown: rows.unknown(tbf.unknown) }
}

function tbfParms(tbf: TbfOptions): Uint8Array {
  return (
    new Writer()
      // struct tc_ratespec rate: cell_log, linklayer, overhead, cell_align, mpu, rate
      .zeros(8)
      .u32(Math.min(tbf.rate, UINT32 - 1))
      // struct tc_ratespec peakrate
      .zeros(12)
      .u32(tbf.limit)
      .u32(tbf.buffer % UINT32)
      // mtu, of the peak rate
      .zeros(4)
      .finish()
  )
}

function u32Rows(rows: Rows, u32: U32Options): U32Options {
  // 1:1, the class that a qdisc with classes would sort it into; the kernel wants one.
  rows.u32(1, 'TCA_U32_CLASSID', 0x10001)
  rows.bytes(5, 'TCA_U32_SEL', matchAll())
  const actions = nest(rows.at(7, 'TCA_U32_ACT'), u32, { redirectIndex: undefined }, actionRows)
  return { ...targetOf(actions), unknown: rows.unknown(u32.unknown) }
}

/** struct tc_u32_sel with one key, whose mask of zeros fits everything. */
function matchAll(): Uint8Array {
  const selector = new Uint8Array(32)
  selector[0] = TC_U32_TERMINAL
  selector[2] = 1
  return selector
}

/** The first action of the list. */
function actionRows(rows: Rows, u32: U32Options): U32Options {
  const first = nest(rows.at(1, 'TCA_ACT_TAB'), u32, { redirectIndex: undefined }, mirredRows)
  return { ...targetOf(first), unknown: rows.unknown(undefined) }
}

function mirredRows(rows: Rows, u32: U32Options): U32Options {
  const kind = rows.text(1, 'TCA_ACT_KIND', 'mirred', 16)
  const parms =
    kind === 'mirred' ? nest(rows.at(2, 'TCA_ACT_OPTIONS'), u32, { redirectIndex: undefined }, mirredParms) : undefined
  return { ...targetOf(parms), unknown: rows.unknown(undefined) }
}

/** What an inner attribute says of it. */
function targetOf(u32: U32Options | undefined): U32Options {
  return { redirectIndex: u32?.redirectIndex, isIngress: u32?.isIngress }
}

const MIRRED_PARMS = 28

/** struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex. */
function mirredParms(rows: Rows, u32: U32Options): U32Options {
  const written = new Writer()
    .zeros(8)
    .i32(TC_ACT_STOLEN)
    .zeros(8)
    .i32(u32.isIngress === true ? TCA_INGRESS_REDIR : TCA_EGRESS_REDIR)
    .u32(u32.redirectIndex ?? 0)
    .finish()
  const shown = rows.bytes(2, 'TCA_MIRRED_PARMS', written, MIRRED_PARMS) ?? new Uint8Array(MIRRED_PARMS)
  const reader = new Reader(shown, 'tc_mirred')
  reader.skip(20)
  const action = reader.i32()
  const index = reader.u32()
  const isIngress = action === TCA_INGRESS_REDIR
  const redirectIndex = isIngress || action === TCA_EGRESS_REDIR ? index : undefined
  return { redirectIndex, isIngress: isIngress ? true : undefined, unknown: rows.unknown(undefined) }
}
