/** Rules in words: what nft sent for the lines of testdata/nft-1.0.6.nft reads as those lines. */
import { readFileSync } from 'node:fs'
import { decodeRule } from '../../lib/netlink/nf/rule.ts'
import { encodeRows } from '../../lib/netlink/rows.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ruleText } from './rule-text.ts'
import { targetWords } from './xtables.ts'

const test = suite('cli/trace rules in words')

const GOLDEN = new URL('../../lib/netlink/nf/testdata/', import.meta.url)
/** NFNL_SUBSYS_NFTABLES and NFT_MSG_NEWRULE */
const NEWRULE = 10 * 256 + 6

/** Each rule that nft sent, by its table's family and its chain, in words. */
function rulesSent(file: string): readonly string[] {
  return readFileSync(new URL(file, GOLDEN), 'utf8')
    .trim()
    .split('\n')
    .map(line => line.split(' '))
    .filter(([type]) => Number(type) === NEWRULE)
    .map(([, hex = '']) => {
      const rule = decodeRule(Uint8Array.from(Buffer.from(hex, 'hex')))
      return `${rule.chain}: ${ruleText(rule.expressions, rule.family === 10 ? 6 : 4, 'nft', rule.comment)}`
    })
}

test('as nft writes them', () => {
  const said = rulesSent('nft-1.0.6.mnl')
  for (const expected of [
    'from-10.4.0.0/24: ip saddr 10.4.0.0/24 masquerade',
    'from-10.4.0.0/24: ip saddr 127.0.0.0/8 masquerade',
    'from-10.4.0.0/24: ip daddr 224.0.0.0/4 return',
    'from-10.4.0.0/24: ip daddr 10.4.4.0/22 return',
    'prerouting: fib daddr type local jump portmap',
    'portmap: meta mark set meta mark | 0x2000',
    'portmap: meta mark set meta mark & 0xffffdfff',
    'post: meta mark & 0x2000 == 0x2000 ct status 32 ip daddr vmap @sources comment "hi"',
    'portmap: dnat to meta l4proto . th dport map @ports',
    'portmap: dnat to ip daddr . meta l4proto . th dport map @ranges',
    'forward: ct state established,related accept',
    'forward: iifname @names drop',
    'forward: iifname cni0 return',
    'forward: counter',
    'forward: ct ip daddr 10.1.1.1 accept',
    'forward: ct mark 5 accept',
    'raw: iifname != lo ip daddr 127.0.0.0/8 drop',
    'from-fd: ip6 saddr fd00::/64 masquerade',
    'from-fd: ip6 daddr ff00::/8 return',
    'post: ct status 32 ip6 daddr vmap @sources comment "hi"',
    'prerouting: iifname @ports iifname . ether saddr != @allowed drop'
  ])
    assert.ok(said.includes(expected), `${expected} in\n${said.join('\n')}`)
})

test('services: what refuses', () => {
  assert.ok(rulesSent('services-nft-1.0.6.mnl').includes('refuse: meta l4proto tcp reject with tcp reset'))
})

test('targets of iptables by their name, also a hostile one', () => {
  const attributes = (name: string): Uint8Array =>
    encodeRows(name, (rows, value) => rows.text(1, 'NFTA_TARGET_NAME', value, 30) ?? '')
  assert.is(targetWords(attributes('REJECT')), '-j REJECT')
  assert.is(targetWords(attributes('\u001b[2J')), '-j \u001b[2J')
})

test.run()
