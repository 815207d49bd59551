/**
 * Routing policy rules: RTM_NEWRULE, RTM_GETRULE, RTM_DELRULE.
 *
 * @source linux/fib_rules.h struct fib_rule_hdr, enum FRA_*, enum FR_ACT_*; types by net/core/fib_rules.c fib_rule_policy
 */
import type { IpAddress } from '../../ip/address.ts'
import { type Attribute, encodeRows, type Rows, readingRows } from '../rows.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
export const RTM_GETRULE = 34

export const FIB_RULE_INVERT = 2

/** struct fib_rule_hdr and its attributes. */
export interface RuleMessage {
  readonly family: number
  readonly dstLength: number
  readonly srcLength: number
  readonly tos: number
  readonly shortTable: number
  /** FR_ACT_* */
  readonly action: number
  /** FIB_RULE_* */
  readonly flags: number
  readonly dst?: IpAddress | undefined
  readonly src?: IpAddress | undefined
  readonly iifName?: string | undefined
  readonly goto?: number | undefined
  readonly priority?: number | undefined
  readonly mark?: number | undefined
  readonly suppressGroup?: number | undefined
  readonly suppressPrefixLength?: number | undefined
  readonly table?: number | undefined
  readonly mask?: number | undefined
  readonly oifName?: string | undefined
  readonly l3mdev?: number | undefined
  /** RTPROT_* */
  readonly protocol?: number | undefined
  readonly ipProtocol?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export const EMPTY_RULE: RuleMessage = {
  family: 0,
  dstLength: 0,
  srcLength: 0,
  tos: 0,
  shortTable: 0,
  action: 0,
  flags: 0
}

function ruleRows(rows: Rows, rule: RuleMessage): RuleMessage {
  const family = rows.fixedU8('family', rule.family)
  const dstLength = rows.fixedU8('dst_len', rule.dstLength)
  const srcLength = rows.fixedU8('src_len', rule.srcLength)
  const tos = rows.fixedU8('tos', rule.tos)
  const shortTable = rows.fixedU8('table', rule.shortTable)
  rows.fixedU16('res1, res2', 0)
  return {
    family,
    dstLength,
    srcLength,
    tos,
    shortTable,
    action: rows.fixedU8('action', rule.action),
    flags: rows.fixedU32('flags', rule.flags),
    dst: rows.address(1, 'FRA_DST', rule.dst),
    src: rows.address(2, 'FRA_SRC', rule.src),
    iifName: rows.text(3, 'FRA_IIFNAME', rule.iifName, 16),
    goto: rows.u32(4, 'FRA_GOTO', rule.goto),
    priority: rows.u32(6, 'FRA_PRIORITY', rule.priority),
    mark: rows.u32(10, 'FRA_FWMARK', rule.mark),
    suppressGroup: rows.u32(13, 'FRA_SUPPRESS_IFGROUP', rule.suppressGroup),
    suppressPrefixLength: rows.u32(14, 'FRA_SUPPRESS_PREFIXLEN', rule.suppressPrefixLength),
    table: rows.u32(15, 'FRA_TABLE', rule.table),
    mask: rows.u32(16, 'FRA_FWMASK', rule.mask),
    oifName: rows.text(17, 'FRA_OIFNAME', rule.oifName, 16),
    l3mdev: rows.u8(19, 'FRA_L3MDEV', rule.l3mdev),
    protocol: rows.u8(21, 'FRA_PROTOCOL', rule.protocol),
    ipProtocol: rows.u8(22, 'FRA_IP_PROTO', rule.ipProtocol),
    unknown: rows.unknown(rule.unknown)
  }
}

/** @throws {EncodeError} */
export function encodeRule(rule: RuleMessage): Uint8Array {
  return encodeRows(rule, ruleRows)
}

/** @throws {DecodeError} */
export function decodeRule(bytes: Uint8Array): RuleMessage {
  return ruleRows(readingRows(bytes, 'fib_rule_hdr'), EMPTY_RULE)
}
