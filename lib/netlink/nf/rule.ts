/**
 * Rules: expressions in a row. The next one runs while the one before did not end the rule.
 *
 *     fib daddr type local jump portmap comment "words"
 *
 * @source linux/netfilter/nf_tables.h enum nft_rule_attributes
 */
import { encodeRows, nest, type Rows } from '../rows.ts'
import { type Expression, expressionRows } from './expression.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'
import { commentRow } from './user-data.ts'

interface NfRule {
  readonly family: number
  readonly table: string
  readonly chain: string
  /** The kernel's number for it; 0 in a rule to be added. */
  readonly handle: number
  readonly expressions: readonly Expression[]
  /** The empty string for none. */
  readonly comment: string
}

function ruleRows(rows: Rows, rule: NfRule): NfRule {
  const family = familyRows(rows, rule.family)
  const expressions = rule.expressions.length === 0 ? undefined : rule.expressions
  return {
    family,
    table: rows.text(1, 'NFTA_RULE_TABLE', rule.table, NFT_NAME_MAXLEN) ?? '',
    chain: rows.text(2, 'NFTA_RULE_CHAIN', rule.chain, NFT_NAME_MAXLEN) ?? '',
    handle: rows.u64be(3, 'NFTA_RULE_HANDLE', rule.handle === 0 ? undefined : rule.handle) ?? 0,
    expressions: nest(rows.at(4, 'NFTA_RULE_EXPRESSIONS'), expressions, [], expressionRows) ?? [],
    comment: commentRow(rows, 7, 'NFTA_RULE_USERDATA', rule.comment)
  }
}

const NO_RULE: NfRule = { family: 0, table: '', chain: '', handle: 0, expressions: [], comment: '' }

/** For NEWRULE. */
export function encodeRule(rule: NfRule): Uint8Array {
  return encodeRows(rule, ruleRows)
}

/**
 * For GETRULE and DELRULE.
 *
 * @param handle 0 = all rules of the chain
 */
export function encodeRuleName(family: number, table: string, chain: string, handle: number): Uint8Array {
  return encodeRows({ ...NO_RULE, family, table, chain, handle }, ruleRows)
}

/** @throws {DecodeError} */
export function decodeRule(payload: Uint8Array): NfRule {
  return ruleRows(readingNfRows(payload), NO_RULE)
}
