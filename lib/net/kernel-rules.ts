/**
 * Routing policy rules by rtnetlink.
 *
 * @source linux/fib_rules.h; net/core/fib_rules.c
 */

import type { IpAddress } from '../ip/address.ts'
import { formatPrefix, type IpPrefix, networkOf } from '../ip/prefix.ts'
import { type Conn, type Request, refusal } from '../netlink/conn.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { AF_INET, AF_INET6 } from '../netlink/rt/link.ts'
import {
  decodeRule,
  EMPTY_RULE,
  encodeRule,
  FIB_RULE_INVERT,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
  type RuleMessage
} from '../netlink/rt/rule.ts'
import { TABLE_MAIN } from './routes.ts'
import { type Rule, type RuleAction, Rules } from './rules.ts'

/** linux/fib_rules.h FR_ACT_*, by number; the gaps are reserved */
const ACTIONS: readonly (RuleAction | '')[] = [
  '',
  'table',
  'goto',
  'nop',
  '',
  '',
  'blackhole',
  'unreachable',
  'prohibit'
]

/** What the kernel reports when no prefix length is suppressed: -1. */
const NOT_SUPPRESSED = 0xffffffff

export class KernelRules extends Rules {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(family: 4 | 6): readonly Rule[] {
    const payload = encodeRule({ ...EMPTY_RULE, family: family === 4 ? AF_INET : AF_INET6 })
    return this.#conn.dump('list', 'rules', RTM_GETRULE, payload).map(answer => ruleOf(decodeRule(answer)))
  }

  override add(rule: Rule): void {
    this.#conn.execute(ruleRequest('add rule', RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule))
  }

  override remove(rule: Rule): boolean {
    const answer = this.#conn.attempt(ruleRequest('remove rule', RTM_DELRULE, 0, rule))
    if (answer.errno === '') return true
    if (answer.errno === 'ENOENT') return false
    throw refusal(answer)
  }
}

function ruleOf(message: RuleMessage): Rule {
  const action = ACTIONS[message.action] ?? ''
  const suppressed = message.suppressPrefixLength
  return {
    family: message.family === AF_INET ? 4 : 6,
    // The rule that comes first has priority 0, which the kernel leaves out.
    priority: message.priority ?? 0,
    from: prefixOf(message.src, message.srcLength),
    to: prefixOf(message.dst, message.dstLength),
    table: message.action === 1 && message.l3mdev !== 1 ? (message.table ?? message.shortTable) : undefined,
    iifName: message.iifName,
    oifName: message.oifName,
    mark: message.mark,
    mask: message.mask,
    suppressPrefixLength: suppressed === NOT_SUPPRESSED ? undefined : suppressed,
    protocol: message.protocol,
    invert: (message.flags & FIB_RULE_INVERT) !== 0,
    l3mdev: message.l3mdev === 1,
    goto: message.goto,
    action: action === '' ? undefined : action
  }
}

function prefixOf(address: IpAddress | undefined, length: number): IpPrefix | undefined {
  return address === undefined ? undefined : { address, length }
}

function ruleRequest(operation: string, type: number, flags: number, rule: Rule): Request {
  const table = rule.l3mdev === true ? 0 : (rule.table ?? (rule.action === undefined ? TABLE_MAIN : 0))
  const message: RuleMessage = {
    ...EMPTY_RULE,
    family: rule.family === 4 ? AF_INET : AF_INET6,
    dstLength: rule.to?.length ?? 0,
    srcLength: rule.from?.length ?? 0,
    shortTable: table < 256 ? table : 0,
    action: ACTIONS.indexOf(rule.action ?? 'table'),
    flags: rule.invert === true ? FIB_RULE_INVERT : 0,
    dst: rule.to === undefined ? undefined : networkOf(rule.to).address,
    src: rule.from === undefined ? undefined : networkOf(rule.from).address,
    iifName: rule.iifName,
    goto: rule.goto,
    priority: rule.priority,
    mark: rule.mark,
    suppressPrefixLength: rule.suppressPrefixLength,
    table: table < 256 ? undefined : table,
    mask: rule.mask,
    oifName: rule.oifName,
    l3mdev: rule.l3mdev === true ? 1 : undefined,
    protocol: rule.protocol
  }
  return { operation, object: describe(rule), type, flags, payload: encodeRule(message), answer: 'acknowledgement' }
}

function describe(rule: Rule): string {
  const from = rule.from === undefined ? 'from all' : `from ${formatPrefix(rule.from)}`
  const to = rule.to === undefined ? '' : ` to ${formatPrefix(rule.to)}`
  const table = rule.table === undefined ? '' : ` table ${String(rule.table)}`
  return `IPv${String(rule.family)} ${from}${to}${table}`
}
