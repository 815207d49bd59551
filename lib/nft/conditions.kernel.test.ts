// needs: nft

import { LinuxKernel } from '../net/kernel-net.ts'
import { Namespace } from '../testing/namespace.ts'
import { assert, suite } from '../testing/suite.ts'
import { parseMatches } from './conditions.ts'
import { NftBatch, type NftFamily } from './nft.ts'
import { verdict } from './rule.ts'

const test = suite('lib/nft/conditions')

/** Rules as the kernel has them and as nft lists them, for the same words: ours and those of nft. */
function bothWays(family: NftFamily, words: string, rules: readonly string[]) {
  const namespace = Namespace.create()
  const kernel = new LinuxKernel()
  const host = kernel.open(namespace.path)
  try {
    const nft = kernel.nft(host)
    const batch = new NftBatch()
    batch.addTable(family, 'ours', true)
    batch.addChain(family, 'ours', 'c', undefined, true)
    const { alternatives, problem } = parseMatches([words], family)
    assert.is(problem, '', words)
    for (const one of alternatives) batch.addRule(family, 'ours', 'c', [...one, ...verdict('return')], '')
    nft.commit(batch, undefined)
    const text = rules.map(one => `${one} return\n`).join('')
    const loaded = namespace.run('nft', ['-f', '-'], { input: `table ${family} theirs { chain c {\n${text}}\n}` })
    assert.is(loaded.status, 0, loaded.stderr)
    const listed = (table: string) => namespace.run('nft', ['list', 'table', family, table]).stdout.split('\n').slice(1)
    const inKernel = (table: string) => nft.listRules(family, table, 'c').map(one => one.expressions)
    return { ours: inKernel('ours'), theirs: inKernel('theirs'), listed: [listed('ours'), listed('theirs')] }
  } finally {
    host.close()
    namespace.close()
  }
}

/** Words, and the rules without sets in braces that mean the same where there are any. */
const WORDS: readonly (readonly [NftFamily, string, ...(readonly string[])])[] = [
  ['ip', 'ip saddr 192.0.2.9'],
  ['ip', 'ip daddr != 10.0.0.0/8'],
  ['ip', 'ip saddr 172.16.0.0/12'],
  ['ip', 'ip saddr != 192.0.2.1-192.0.2.9'],
  ['ip', 'ip saddr { 10.0.0.0/8, 192.0.2.9 }', 'ip saddr 10.0.0.0/8', 'ip saddr 192.0.2.9'],
  ['ip', 'ip saddr != {10.0.0.0/8,192.0.2.9}', 'ip saddr != 10.0.0.0/8 ip saddr != 192.0.2.9'],
  ['ip6', 'ip6 saddr fd00:4::/64'],
  ['ip6', 'ip6 daddr != fd00::1'],
  ['ip6', 'ip6 saddr ne 2000::/3'],
  ['ip', 'iifname "eth0"'],
  ['ip', 'meta iifname != "eth*"'],
  ['ip', 'oifname lo'],
  ['ip', 'iifname { "eth0", "eth1" }', 'iifname "eth0"', 'iifname "eth1"'],
  ['ip', 'tcp dport 80'],
  ['ip', 'udp sport != 1024-65535'],
  ['ip', 'tcp sport 1024-65535'],
  ['ip6', 'sctp dport == 132'],
  ['ip', 'meta l4proto udp'],
  ['ip', 'meta mark 0x10'],
  ['ip', 'meta mark != 7'],
  ['ip', 'meta mark & 0xff == 0x10'],
  ['ip', 'meta mark and 0x4000 != 0x4000'],
  ['ip', 'ct state new'],
  ['ip', 'ct state established,related'],
  ['ip', 'fib saddr type local'],
  ['ip', 'fib daddr type != { broadcast, multicast }', 'fib daddr type != broadcast fib daddr type != multicast'],
  ['ip', 'ip saddr 10.0.0.0/8 iifname != "eth0" tcp dport 80'],
  [
    'ip',
    'ip saddr { 10.0.0.1, 10.0.0.2 } iifname { "a", "b" }',
    'ip saddr 10.0.0.1 iifname "a"',
    'ip saddr 10.0.0.1 iifname "b"',
    'ip saddr 10.0.0.2 iifname "a"',
    'ip saddr 10.0.0.2 iifname "b"'
  ]
]

test('the same words are the same expressions in the kernel, and the same text, as with nft', () => {
  for (const [family, words, ...rules] of WORDS) {
    const { ours, theirs, listed } = bothWays(family, words, rules.length === 0 ? [words] : rules)
    assert.equal(ours, theirs, words)
    assert.equal(listed[0], listed[1], words)
  }
})

test('several words to a text, or one: the same', () => {
  const split = parseMatches(['ip', 'saddr', '!=', '10.0.0.0/8', 'iifname', '"eth0"'], 'ip')
  assert.equal(split, parseMatches(['ip saddr !=10.0.0.0/8 iifname eth0'], 'ip'))
})

test('what is not understood is named', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['ip saddr fd00::1', /^"fd00::1" is not understood: an address or prefix of the family is expected$/],
    ['ip saddr 10.0.0.0/33', /^"10\.0\.0\.0\/33" is not/],
    ['ip saddr 10.0.0.1-x', /^"10\.0\.0\.1-x" is not/],
    ['ip6 saddr fd00::1', /^"ip6" is not understood: ip is expected$/],
    ['ip protocol tcp', /^"protocol" is not understood: saddr or daddr is expected$/],
    ['ip saddr', /^they end too early/],
    ['ip saddr { 10.0.0.1', /^they end too early: } or , is expected$/],
    ['ip saddr { 10.0.0.1 10.0.0.2 }', /^"10\.0\.0\.2" is not understood: } or , is expected$/],
    ['ip saddr @blocked', /^"@blocked" is not/],
    ['tcp dport 70000', /^"70000" is not understood: a port is expected$/],
    ['tcp dport http', /^"http" is not/],
    ['meta mark 0x1ffffffff', /^"0x1ffffffff" is not/],
    ['iifname abcdefghijklmnopq', /^"abcdefghijklmnopq" is not/],
    ['ct status dnat', /^"status" is not/],
    ['ct state fresh', /^"fresh" is not/],
    ['fib saddr oif eth0', /^"oif" is not/],
    ['ip saddr 10.0.0.1 accept', /^"accept" is not/],
    ['-s 10.0.0.1', /^"-s" is not/],
    [`tcp sport { ${[...Array(65).keys()].join(', ')} }`, /a shorter list/]
  ]
  for (const [words, message] of cases) assert.match(parseMatches([words], 'ip').problem, message)
})

test.run()
