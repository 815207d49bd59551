/**
 * Rules: expressions in a row. The next one runs while the one before did not end the rule.
 *
 *     fib daddr type local jump portmap comment "words"
 *
 * @source linux/netfilter/nf_tables.h enum nft_rule_attributes
 */
import { attributes, readText, readU64be } from '../reader.ts'
import { type Expression, readExpressions, writeExpressions } from './expression.ts'
import { decodeNfMessage, nfMessage } from './nfnetlink.ts'
import { decodeComment, encodeComment } from './user-data.ts'

const NFTA_RULE_TABLE = 1
const NFTA_RULE_CHAIN = 2
const NFTA_RULE_HANDLE = 3
const NFTA_RULE_EXPRESSIONS = 4
const NFTA_RULE_USERDATA = 7

export interface NfRule {
  readonly family: number
  readonly table: string
  readonly chain: string
  /** The kernel's number for it; 0 in a rule to be added. */
  readonly handle: number
  readonly expressions: readonly Expression[]
  /** The empty string for none. */
  readonly comment: string
}

/** For NEWRULE. */
export function encodeRule(rule: NfRule): Uint8Array {
  const writer = nfMessage(rule.family)
  writer.attrText(NFTA_RULE_TABLE, rule.table)
  writer.attrText(NFTA_RULE_CHAIN, rule.chain)
  writer.nested(NFTA_RULE_EXPRESSIONS, () => {
    writeExpressions(writer, rule.expressions)
  })
  if (rule.comment !== '') writer.attr(NFTA_RULE_USERDATA, encodeComment(rule.comment))
  return writer.finish()
}

/**
 * For GETRULE and DELRULE.
 *
 * @param handle 0 = all rules of the chain
 */
export function encodeRuleName(family: number, table: string, chain: string, handle: number): Uint8Array {
  const writer = nfMessage(family)
  writer.attrText(NFTA_RULE_TABLE, table)
  writer.attrText(NFTA_RULE_CHAIN, chain)
  if (handle !== 0) writer.attrU64be(NFTA_RULE_HANDLE, handle)
  return writer.finish()
}

export function decodeRule(payload: Uint8Array): NfRule {
  const message = decodeNfMessage(payload)
  let table = ''
  let chain = ''
  let handle = 0
  let comment = ''
  let expressions: readonly Expression[] = []
  for (const attribute of attributes(message.rest, 'NFTA_RULE')) {
    if (attribute.type === NFTA_RULE_TABLE) table = readText(attribute, 'NFTA_RULE_TABLE')
    if (attribute.type === NFTA_RULE_CHAIN) chain = readText(attribute, 'NFTA_RULE_CHAIN')
    if (attribute.type === NFTA_RULE_HANDLE) handle = readU64be(attribute, 'NFTA_RULE_HANDLE')
    if (attribute.type === NFTA_RULE_EXPRESSIONS) expressions = readExpressions(attribute.value)
    if (attribute.type === NFTA_RULE_USERDATA) comment = decodeComment(attribute.value)
  }
  return { family: message.family, table, chain, handle, expressions, comment }
}
