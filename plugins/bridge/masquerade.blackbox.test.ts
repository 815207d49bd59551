// needs: ip nft iptables ip6tables
// time-out: 300 s
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge: how it masquerades')

/** @param first of its addresses; networks do not know each other's */
function network(world: World, more: object, first = 2): object {
  const four = { subnet: '10.77.0.0/24', rangeStart: `10.77.0.${String(first)}` }
  const ranges = [[four], [{ subnet: 'fd77::/64', rangeStart: `fd77::${String(first)}` }]]
  const ipam = { type: 'host-local', ranges, dataDir: world.dataDir }
  const base = { cniVersion: '1.1.0', name: 'net1', type: 'bridge', bridge: 'br1', isGateway: true, ipMasq: true }
  return { ...base, stateDir: world.stateDir, ipam, ...more }
}

function ruleset(world: World): string {
  return world.sh(world.host, 'nft', 'list', 'ruleset')
}

/** What the chains end with, sorted. */
function targets(world: World): readonly string[] {
  return (ruleset(world).match(/^\s+(masquerade|snat to .*)$/gm) ?? []).map(line => line.trim()).sort()
}

const PARTLY = {
  ipMasqFamilies: ['ipv4'],
  ipMasqExclude: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
  ipMasqSource: ['192.0.2.1', '2001:db8::1']
}

test('one family, without some destinations, as a fixed address; DEL leaves nothing', async () => {
  await inWorld(2, world => {
    const config = network(world, PARTLY)
    const result = world.add('bridge', config)
    const made = ruleset(world)
    for (const rule of ['daddr 10.0.0.0/8 return', 'daddr 192.0.2.7 return', 'daddr 224.0.0.0/4 return']) {
      assert.ok(made.includes(`ip ${rule}`), rule)
    }
    assert.match(made, /snat to 192\.0\.2\.1\n/)
    assert.not.match(made, /ip6 patchbay-masquerade|\bmasquerade\n/)
    assert.is(world.call('bridge', 'CHECK', { ...config, prevResult: result }).status, 0)
    // Another network of the same subnet may do it otherwise.
    const other = network(world, { name: 'net2' }, 20)
    world.add('bridge', other, { containerId: 'c2', container: world.container(1) })
    assert.match(
      ruleset(world),
      /snat to 192\.0\.2\.1\n[\s\S]*\bmasquerade\n|\bmasquerade\n[\s\S]*snat to 192\.0\.2\.1\n/
    )
    world.del('bridge', config)
    assert.equal(targets(world), ['masquerade', 'masquerade'])
    world.del('bridge', other, { containerId: 'c2', container: world.container(1) })
    assert.is(ruleset(world), '')
  })
})

test('the same with iptables', async () => {
  await inWorld(1, world => {
    const config = network(world, { ...PARTLY, ipMasqBackend: 'iptables' })
    const result = world.add('bridge', config)
    const rules = world.sh(world.host, 'iptables', '-t', 'nat', '-S')
    assert.match(rules, /-A CNI-\w+ -d 10\.0\.0\.0\/8 .* -j ACCEPT/)
    assert.match(rules, /-A CNI-\w+ -d 192\.0\.2\.7\/32 .* -j ACCEPT/)
    assert.match(rules, /-A CNI-\w+ ! -d 224\.0\.0\.0\/4 .* -j SNAT --to-source 192\.0\.2\.1\n/)
    assert.not.match(world.sh(world.host, 'ip6tables', '-t', 'nat', '-S'), /CNI-/)
    assert.is(world.call('bridge', 'CHECK', { ...config, prevResult: result }).status, 0)
    world.del('bridge', config)
    assert.not.match(world.sh(world.host, 'iptables', '-t', 'nat', '-S'), /CNI-/)
  })
})

for (const [flush, ipMasqBackend] of [
  ['nft flush ruleset', 'nftables'],
  ['nft flush ruleset', 'iptables'],
  ['iptables -t nat -F; ip6tables -t nat -F', 'iptables']
]) {
  test(`after ${flush} the next ADD, with ${ipMasqBackend}, brings back what iptables masqueraded`, async () => {
    await inWorld(2, world => {
      const listed = (): string =>
        ['iptables', 'ip6tables']
          .flatMap(tool => world.sh(world.host, tool, '-t', 'nat', '-S').split('\n'))
          .sort()
          .join('\n')
      const config = network(world, { ...PARTLY, ipMasqFamilies: ['ipv4', 'ipv6'], ipMasqBackend: 'iptables' })
      const result = world.add('bridge', config)
      const before = listed()
      world.sh(world.host, 'sh', '-c', flush ?? '')
      const other = network(world, { name: 'net2', ipMasqBackend }, 20)
      world.add('bridge', other, { containerId: 'c2', container: world.container(1) })
      assert.is(world.call('bridge', 'CHECK', { ...config, prevResult: result }).status, 0)
      world.del('bridge', other, { containerId: 'c2', container: world.container(1) })
      assert.is(listed(), before)
      world.del('bridge', config)
      assert.not.match(listed(), /CNI-/)
    })
  })
}

test('names longer than a comment of iptables, which cuts them: CHECK, a second ADD, DEL', async () => {
  await inWorld(1, world => {
    const config = network(world, { name: 'n'.repeat(200), ipMasqBackend: 'iptables' })
    const one = { containerId: 'c'.repeat(200) }
    const rules = (): string => world.sh(world.host, 'iptables', '-t', 'nat', '-S')
    const result = world.add('bridge', config, one)
    const made = rules()
    assert.is(world.call('bridge', 'CHECK', { ...config, prevResult: result }, one).status, 0)
    world.call('bridge', 'ADD', config, one)
    assert.is(rules(), made)
    world.del('bridge', config, one)
    assert.not.match(rules(), /CNI-/)
  })
})

test('bad input: the error names key and value, and nothing is made', async () => {
  await inWorld(1, world => {
    const before = world.snapshot()
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ ipMasqFamilies: ['ip4'] }, /ipMasqFamilies must hold "ipv4", "ipv6" or both, got \["ip4"\]/],
      [{ ipMasqExclude: ['10.0.0.0/33'] }, /ipMasqExclude must hold addresses or prefixes.*got \["10\.0\.0\.0\/33"\]/],
      [{ ipMasqExclude: '10.0.0.0/8' }, /ipMasqExclude must be an array of strings, got "10\.0\.0\.0\/8"/],
      [{ ipMasqExclude: Array(257).fill('10.0.0.1') }, /ipMasqExclude must have 256 members at most/],
      [{ ipMasqSource: ['192.0.2.1', '192.0.2.2'] }, /ipMasqSource must hold one address of each family at most/],
      [{ ipMasqSource: ['0.0.0.0'] }, /ipMasqSource must hold one address/]
    ]
    for (const [more, message] of cases) {
      const reply = world.call('bridge', 'ADD', network(world, more))
      assert.is(reply.json?.code, 7, reply.stdout + reply.stderr)
      assert.match(reply.json.msg, message)
    }
    assert.is(world.snapshot(), before)
    assert.is(ruleset(world), '')
  })
})

test('after a flush of the ruleset the next ADD of anybody masquerades and checks for spoofing all living containers', async () => {
  await inWorld(3, world => {
    const of = (i: number) => ({ containerId: `c${String(i)}`, container: world.container(i - 1) })
    const config = network(world, { macspoofchk: true })
    const partly = network(world, { name: 'net2', ...PARTLY }, 20)
    const first = world.add('bridge', config, of(1))
    const second = world.add('bridge', partly, of(2))
    world.sh(world.host, 'nft', 'flush', 'ruleset')
    world.add('bridge', config, of(3))
    for (const [conf, prevResult, i] of [
      [config, first, 1],
      [partly, second, 2]
    ] as const) {
      const checked = world.call('bridge', 'CHECK', { ...conf, prevResult }, of(i))
      assert.is(checked.status, 0, checked.stdout)
    }
    world.del('bridge', partly, of(2))
    for (const i of [1, 3]) world.del('bridge', config, of(i))
    assert.is(ruleset(world), '')
  })
})

test.run()
