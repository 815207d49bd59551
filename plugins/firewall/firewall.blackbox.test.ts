// needs: ip nft iptables ip6tables
// time-out: 300 s
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { withoutTools } from '../../lib/testing/hidden-tools.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type CallOptions, inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/firewall, the executable')

/** No firewalld on this host. */
const NO_BUS = { env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' } }
const CONTAINERS = 64

/** `br1` on the host with as many ports `p2` and so on as there will be containers. */
function prepare(world: World, ports: number): void {
  const lines = ['link add br1 type bridge']
  for (let n = 2; n < ports + 2; n += 2) {
    lines.push(`link add p${String(n)} type veth peer name p${String(n + 1)}`)
    for (const one of [n, n + 1]) lines.push(`link set p${String(one)} master br1`)
  }
  const done = world.host.run('ip', ['-batch', '-'], { input: lines.map(line => `${line}\n`).join('') })
  assert.is(done.status, 0, done.stderr)
}

/** The n-th container of the bridge. */
function network(world: World, n: number, more: object): object {
  const ips = [`10.4.0.${String(n)}/24`, `fd00:4::${n.toString(16)}/64`].map(address => ({ interface: 2, address }))
  const interfaces = [{ name: 'br1' }, { name: `p${String(n)}` }, { name: 'eth0', sandbox: world.container().path }]
  const base = { cniVersion: '1.1.0', name: 'net1', type: 'firewall', stateDir: world.stateDir }
  return { ...base, prevResult: { interfaces, ips }, ...more }
}

function ruleset(world: World): string {
  return world.sh(world.host, 'nft', 'list', 'ruleset')
}

async function together(world: World, verb: string, more: object): Promise<void> {
  const replies = await Promise.all(
    Array.from({ length: CONTAINERS }, (_, i) =>
      world.start('firewall', verb, network(world, i + 2, more), { ...NO_BUS, containerId: `c${String(i + 2)}` })
    )
  )
  const wrong = replies.filter(reply => reply.status !== 0).map(reply => reply.stdout + reply.stderr)
  assert.equal(wrong, [], verb)
}

/** How often each thing is in one of our tables. */
function counts(world: World, family: string): Record<string, number> {
  const listed: Parsed = world.json(world.host, 'nft', '-j', 'list', 'table', family, 'patchbay-firewall')
  const count: Record<string, number> = {}
  const add = (what: string, number: number): void => {
    count[what] = (count[what] ?? 0) + number
  }
  for (const { rule, map, set } of listed.nftables) {
    if (rule !== undefined) add(`rules of ${rule.chain}`, 1)
    const named = map ?? set
    if (named !== undefined) add(`elements of ${named.name}`, named.elem?.length ?? 0)
  }
  return count
}

test('nftables: 64 first ADDs at once: none fails, nothing is there twice; 64 DELs at once leave nothing', async () => {
  await inWorld(1, async world => {
    prepare(world, CONTAINERS)
    for (const ingressPolicy of ['isolated', 'same-bridge']) {
      await together(world, 'ADD', { ingressPolicy })
      const rules = ingressPolicy === 'isolated' ? 1 : 2
      for (const family of ['ip', 'ip6']) {
        assert.equal(counts(world, family), {
          'elements of containers': CONTAINERS,
          'elements of bridges': 1,
          'rules of forward': 3,
          'rules of published': 1,
          [`rules of ${ingressPolicy}-br1`]: rules
        })
      }
      if (ingressPolicy === 'isolated') {
        assert.equal(counts(world, 'bridge'), {
          'elements of ports': CONTAINERS,
          'elements of members': CONTAINERS,
          'rules of forward': 1,
          'rules of isolated': 2
        })
      }
      const owners = ruleset(world).match(/comment "net1 c\d+ eth0" : goto (isolated|same-bridge)-br1/g) ?? []
      assert.is(new Set(owners).size, CONTAINERS)
      await together(world, 'DEL', { ingressPolicy })
      assert.is(ruleset(world), '')
      assert.not.ok(existsSync(join(world.stateDir, 'net1')), 'no journal entry is left')
    }
  })
})

test('iptables: 64 first ADDs at once: none fails, no rule is there twice; 64 DELs at once leave the chains alone', async () => {
  await inWorld(1, async world => {
    prepare(world, CONTAINERS)
    const more = { backend: 'iptables', ingressPolicy: 'same-bridge' }
    await together(world, 'ADD', more)
    for (const tool of ['iptables', 'ip6tables']) {
      const rules = world.sh(world.host, tool, '-S').split('\n')
      const added = rules.filter(rule => rule.startsWith('-A '))
      assert.is(new Set(added).size, added.length, 'no rule is there twice')
      assert.is(added.filter(rule => rule.startsWith('-A CNI-FORWARD -s ')).length, CONTAINERS)
      assert.is(added.filter(rule => rule.startsWith('-A CNI-FORWARD -d ')).length, CONTAINERS)
    }
    await together(world, 'DEL', more)
    for (const tool of ['iptables', 'ip6tables']) {
      assert.not.match(world.sh(world.host, tool, '-S'), /10\.4\.|fd00|br1/)
    }
  })
})

test('bad input: key and value, code 7 or 2, and the system is as before', async () => {
  await inWorld(1, world => {
    prepare(world, 2)
    world.add('firewall', network(world, 3, { ingressPolicy: 'isolated' }), { ...NO_BUS, containerId: 'c3' })
    const before = [ruleset(world), world.snapshot()]
    const cases: readonly (readonly [object, number, RegExp])[] = [
      [{ ingressPolicy: 'closed' }, 7, /ingressPolicy must be one of .*, got "closed"/],
      [{ backend: 'ipfw', ingressPolicy: 1 }, 7, /backend must be one of .*got "ipfw"; ingressPolicy must be .*got 1/],
      [{ iptablesAdminChainName: 5 }, 7, /iptablesAdminChainName must be a string, got 5/],
      [{ prevResult: undefined, ingressPolicy: 'isolated' }, 7, /prevResult/]
    ]
    for (const [more, code, message] of cases) {
      const reply = world.call('firewall', 'ADD', network(world, 2, more), NO_BUS)
      assert.is(reply.json.code, code, reply.stdout)
      assert.match(reply.json.msg, message)
    }
    assert.equal([ruleset(world), world.snapshot()], before)
  })
})

test('a backend whose tool is missing: refused with key and value, nothing changed', async () => {
  await inWorld(1, world => {
    prepare(world, 2)
    const options: CallOptions = { ...withoutTools(world, ['firewall']), ...NO_BUS }
    const before = [ruleset(world), world.snapshot()]
    for (const [backend, code, message] of [
      ['iptables', 2, /backend "iptables" is not supported: neither iptables nor ip6tables is installed/],
      ['firewalld', 2, /backend "firewalld" is not supported: it is not on the system bus/]
    ] as const) {
      const config = network(world, 2, { backend, ingressPolicy: 'isolated' })
      const reply = world.call('firewall', 'ADD', config, options)
      assert.is(reply.json?.code, code, reply.stdout + reply.stderr)
      assert.match(reply.json.msg, message)
      world.del('firewall', config, options)
      const status = world.call('firewall', 'STATUS', config, options)
      assert.is(status.json?.code, 50, status.stdout + status.stderr)
    }
    assert.equal([ruleset(world), world.snapshot()], before)
  })
})

test('without nft, iptables and ip on the host: ADD, CHECK, DEL, GC and STATUS work', async () => {
  await inWorld(1, world => {
    prepare(world, 2)
    const options: CallOptions = { ...withoutTools(world, ['firewall']), ...NO_BUS }
    const config = network(world, 2, { ingressPolicy: 'isolated' })
    const run = (verb: string, more: object = {}) => {
      const reply = world.call('firewall', verb, { ...config, ...more }, options)
      assert.is(reply.status, 0, `${verb}: ${reply.stdout}${reply.stderr}`)
    }
    run('ADD')
    assert.match(ruleset(world), /10\.4\.0\.2 comment "net1 c1 eth0" : goto isolated-br1/)
    run('CHECK')
    run('STATUS')
    run('DEL')
    assert.is(ruleset(world), '')
    run('ADD')
    run('GC', { 'cni.dev/valid-attachments': [] })
    assert.is(ruleset(world), '')
  })
})

test('flushed by somebody else in between: CHECK tells, DEL is clean, the next ADD works', async () => {
  await inWorld(1, world => {
    prepare(world, 2)
    const nft = (...args: readonly string[]) => world.sh(world.host, 'nft', ...args)
    const iptables = (...options: readonly string[]) => {
      for (const tool of ['iptables', 'ip6tables']) for (const option of options) world.sh(world.host, tool, option)
    }
    const cases: readonly (readonly [object, () => void])[] = [
      [{}, () => nft('flush', 'ruleset')],
      [{}, () => nft('delete', 'table', 'bridge', 'patchbay-firewall')],
      [{}, () => nft('flush', 'chain', 'ip', 'patchbay-firewall', 'forward')],
      [{ backend: 'iptables' }, () => nft('flush', 'ruleset')],
      [{ backend: 'iptables' }, () => iptables('-F')],
      [{ backend: 'iptables' }, () => iptables('-F', '-X')]
    ]
    for (const [more, flush] of cases) {
      const config = network(world, 2, { ingressPolicy: 'isolated', ...more })
      for (const isRemoved of [true, false]) {
        world.add('firewall', config, NO_BUS)
        assert.is(world.call('firewall', 'CHECK', config, NO_BUS).status, 0)
        flush()
        const checked = world.call('firewall', 'CHECK', config, NO_BUS)
        assert.is(checked.json?.code, 100, `${String(flush)} ${checked.stdout}`)
        if (isRemoved) world.del('firewall', config, NO_BUS)
      }
      world.add('firewall', config, NO_BUS)
      assert.is(world.call('firewall', 'CHECK', config, NO_BUS).status, 0)
      world.del('firewall', config, NO_BUS)
      assert.not.match(ruleset(world), /patchbay|10\.4\.0\.2|fd00:4::2|br1/)
    }
  })
})

test.run()
