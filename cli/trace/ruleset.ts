/** The rules of a namespace, by what trace events call them. */
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import type { Conn } from '../../lib/netlink/conn.ts'
import { decodeChain } from '../../lib/netlink/nf/chain.ts'
import { NETDEV_HOOKS, NFPROTO_NETDEV } from '../../lib/netlink/nf/netdev-chain.ts'
import { NFT_MSG_GETCHAIN, NFT_MSG_GETRULE } from '../../lib/netlink/nf/nf-tables.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../../lib/netlink/nf/nfnetlink.ts'
import { decodeRule, encodeRuleName } from '../../lib/netlink/nf/rule.ts'
import { encodeTableName } from '../../lib/netlink/nf/table.ts'
import type { NfTrace } from '../../lib/netlink/nf/trace.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import { makerOf } from '../doctor/makers.ts'
import { type Dialect, ruleText } from './rule-text.ts'

/** A rule or a policy, in words. Names in it are those of whoever made it. */
export interface RuleWords {
  /** `iptables` where iptables made the table. */
  readonly dialect: Dialect
  /** `ip filter` */
  readonly table: string
  readonly chain: string
  /** '' of a chain that is jumped to */
  readonly hook: string
  /** The rule; `policy drop`; '' when it is gone by now. */
  readonly text: string
  /** Who made the table, as far as that is known; '' otherwise. */
  readonly who: string
  /** What to do where it drops what it should not. */
  readonly remedy: string
}

const FAMILIES: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 5: 'netdev', 7: 'bridge', 10: 'ip6' }
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting']
const hooksOf = (family: number): readonly string[] => (family === NFPROTO_NETDEV ? NETDEV_HOOKS : HOOKS)
const IPTABLES_TABLES = ['filter', 'nat', 'mangle', 'raw', 'security']
const IPTABLES_CHAINS = /^(?:PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/

type Chain = ReturnType<typeof decodeChain>
type Rule = ReturnType<typeof decodeRule>

/** Read when something of it is asked for first; it may have changed since the packet passed. */
export class Ruleset {
  readonly #conn: Conn
  #chains: readonly Chain[] | undefined
  readonly #rules = new Map<string, readonly Rule[]>()

  constructor(namespaceFd: number) {
    this.#conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  }

  /** @param family of the packet */
  wordsFor(trace: NfTrace, family: 4 | 6): RuleWords {
    const siblings = this.#all().filter(one => one.family === trace.family && one.table === trace.table)
    const chain = siblings.find(one => one.name === trace.chain)
    const isIptables =
      IPTABLES_TABLES.includes(trace.table) &&
      siblings.some(one => one.hook !== undefined && IPTABLES_CHAINS.test(one.name))
    const dialect = isIptables ? 'iptables' : 'nft'
    const { who, remedy } = makerOf({ table: trace.table, siblings: siblings.map(one => one.name) })
    return {
      dialect,
      table: `${FAMILIES[trace.family] ?? String(trace.family)} ${trace.table}`,
      chain: trace.chain,
      hook: chain?.hook === undefined ? '' : (hooksOf(trace.family)[chain.hook.number] ?? ''),
      text: trace.type === 'policy' ? `policy ${trace.policy ?? ''}` : this.#text(trace, family, dialect),
      who,
      remedy
    }
  }

  close(): void {
    this.#conn.close()
  }

  #text(trace: NfTrace, family: 4 | 6, dialect: Dialect): string {
    const rule = this.#of(trace).find(one => one.handle === trace.handle)
    return rule === undefined ? '' : ruleText(rule.expressions, family, dialect, rule.comment)
  }

  #all(): readonly Chain[] {
    this.#chains ??= this.#list('chains', NFT_MSG_GETCHAIN, encodeTableName(0, '')).map(payload => decodeChain(payload))
    return this.#chains
  }

  #of({ family, table, chain }: NfTrace): readonly Rule[] {
    const key = JSON.stringify([family, table, chain])
    const known = this.#rules.get(key)
    if (known !== undefined) return known
    const name = encodeRuleName(family, table, chain, 0)
    const rules = this.#list('rules', NFT_MSG_GETRULE, name).map(payload => decodeRule(payload))
    this.#rules.set(key, rules)
    return rules
  }

  /** None when it is gone. */
  #list(object: string, message: number, payload: Uint8Array): readonly Uint8Array[] {
    try {
      return this.#conn.dump('list', object, nfType(NFNL_SUBSYS_NFTABLES, message), payload)
    } catch (error) {
      if (errnoOf(error) === '') throw error
      return []
    }
  }
}
