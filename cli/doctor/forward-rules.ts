/**
 * Whom the rules of a firewall let through, where its policy drops the rest: an interface's name or an address in a rule that
 * ends with accept, in whatever way it is reached.
 *
 * @source linux/netfilter/nf_tables.h NFT_MSG_GETRULE; man 8 iptables -S
 */
import { spawnSync } from 'node:child_process'
import { parseAddress } from '../../lib/ip/address.ts'
import { parsePrefix, prefixContains } from '../../lib/ip/prefix.ts'
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import { NFT_MSG_GETRULE } from '../../lib/netlink/nf/nf-tables.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../../lib/netlink/nf/nfnetlink.ts'
import { decodeRule } from '../../lib/netlink/nf/rule.ts'
import { encodeTableName } from '../../lib/netlink/nf/table.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { ruleText } from '../trace/rule-text.ts'
import type { BaseChain } from './base-chains.ts'

/** In nft's words, also of legacy iptables: `iifname br0 accept`. */
interface ForwardRule {
  readonly chain: string
  readonly text: string
}

const FAMILIES: Readonly<Record<string, number>> = { inet: 1, ip: 2, bridge: 7, ip6: 10 }

/** What a container is known by on its way through the host. */
export interface Passing {
  /** Of the bridge that it is on, of the host's end of its wire. */
  readonly links: readonly string[]
  /** Without prefix lengths. */
  readonly addresses: readonly string[]
}

export class ForwardRules {
  readonly #start: string
  readonly #rules: readonly ForwardRule[]

  /** Reads the table of a chain at hook forward. */
  constructor(namespaceFd: number, chain: BaseChain) {
    this.#start = chain.name
    this.#rules = chain.family.endsWith('-legacy') ? legacyRules(namespaceFd, chain) : nftRules(namespaceFd, chain)
  }

  /** Whether some rule accepts what this container sends or gets. What else a rule asks for (ports, states) is not judged. */
  accepts(passing: Passing): boolean {
    const reached = this.#chainsFrom(this.#start)
    return this.#rules.some(rule => reached.has(rule.chain) && isAbout(rule.text, passing) && this.#endsWell(rule.text))
  }

  /** The chain and all that it leads to. */
  #chainsFrom(start: string): ReadonlySet<string> {
    const reached = new Set([start])
    for (const chain of reached) {
      for (const rule of this.#rules) {
        const target = rule.chain === chain ? targetOf(rule.text) : undefined
        if (target !== undefined) reached.add(target)
      }
    }
    return reached
  }

  /** It accepts, or leads to a chain that accepts whatever comes there. */
  #endsWell(text: string): boolean {
    if (/(?:^| )accept$/.test(text)) return true
    const target = targetOf(text)
    if (target === undefined) return false
    const further = this.#chainsFrom(target)
    return this.#rules.some(rule => further.has(rule.chain) && /^(?:counter )?accept$/.test(rule.text))
  }
}

function targetOf(text: string): string | undefined {
  return /(?:^| )(?:jump|goto) (\S+)$/.exec(text)?.[1]
}

function isAbout(text: string, { links, addresses }: Passing): boolean {
  const names = [...text.matchAll(/(?:^| )[io]ifname (?!!= )(\S+)/g)].map(([, name = '']) => name)
  if (names.some(name => links.some(link => (name.endsWith('*') ? link.startsWith(name.slice(0, -1)) : link === name))))
    return true
  const prefixes = [...text.matchAll(/(?:^| )ip6? [sd]addr (?!!= )(\S+)/g)].map(([, prefix = '']) => prefix)
  return prefixes.some(prefix => addresses.some(address => isIn(prefix, address)))
}

function isIn(text: string, address: string): boolean {
  const [prefix, parsed] = [parsePrefix(text), parseAddress(address)]
  if (prefix === undefined || parsed === undefined) return text === address
  return prefix.address.family === parsed.family && prefixContains(prefix, parsed)
}

function nftRules(namespaceFd: number, { family, table }: BaseChain): readonly ForwardRule[] {
  const conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  try {
    // NFTA_RULE_TABLE is the same attribute; without a chain it is the rules of all.
    const name = encodeTableName(FAMILIES[family] ?? 0, table)
    return conn
      .dump('list', `rules of ${family} ${table}`, nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE), name)
      .map(payload => decodeRule(payload))
      .filter(rule => rule.table === table)
      .map(({ chain, expressions }) => ({ chain, text: ruleText(expressions, family === 'ip6' ? 6 : 4, 'nft') }))
  } finally {
    conn.close()
  }
}

const FLAGS: Readonly<Record<string, string>> = {
  '-i': 'iifname',
  '-o': 'oifname',
  '-s': 'ip saddr',
  '-d': 'ip daddr',
  '-g': 'goto'
}

function legacyRules(namespaceFd: number, { family }: BaseChain): readonly ForwardRule[] {
  const done = inNamespace(namespaceFd, () => spawnSync(family, ['-w', '-S'], { encoding: 'utf8' }))
  return (done.stdout ?? '').split('\n').flatMap(line => {
    const [flag, chain, ...words] = line.split(' ')
    if (flag !== '-A' || chain === undefined) return []
    return [
      {
        chain,
        text: words
          .map((word, at) => nftWord(word, words[at - 1]))
          .join(' ')
          .replace(/jump accept$/, 'accept')
      }
    ]
  })
}

function nftWord(word: string, before: string | undefined): string {
  if (word === '-j') return 'jump'
  if (before === '-j' && /^(?:ACCEPT|DROP|RETURN)$/.test(word)) return word.toLowerCase()
  if (before === '-i' || before === '-o') return word.replace(/\+$/, '*')
  return FLAGS[word] ?? word
}
