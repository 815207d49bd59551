// needs: ip nft iptables ip6tables strace
// time-out: 300 s
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { withoutTools } from '../../lib/testing/hidden-tools.ts'
import { addEnvironment } from '../../lib/testing/kill-sweep.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type CallOptions, inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/portmap, the executable')

/** `br1` on the host, and `eth0` of the container with an end on it. */
function prepare(world: World): void {
  const sh = (...args: readonly string[]) => world.sh(world.host, 'ip', ...args)
  sh('link', 'add', 'br1', 'type', 'bridge')
  sh('addr', 'add', '10.4.0.1/24', 'dev', 'br1')
  sh('link', 'add', 'veth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(world.container().pid))
  sh('link', 'set', 'veth1', 'master', 'br1')
}

/** The n-th container of the bridge with these mappings. */
function network(world: World, n: number, portMappings: readonly object[], more: object = {}): object {
  const ips = [`10.4.0.${String(n)}/24`, `fd00:4::${n.toString(16)}/64`].map(address => ({ interface: 2, address }))
  const interfaces = [{ name: 'br1' }, { name: 'veth1' }, { name: 'eth0', sandbox: world.container().path }]
  const base = { cniVersion: '1.1.0', name: 'net1', type: 'portmap', stateDir: world.stateDir }
  return { ...base, prevResult: { interfaces, ips }, runtimeConfig: { portMappings }, ...more }
}

function ruleset(world: World): string {
  return world.sh(world.host, 'nft', 'list', 'ruleset')
}

const ONE = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }

/** Everything that one call would ask of a host whose tools cannot be found. */
const WITHOUT = ['portmap']

test('64 first ADDs at once: each succeeds, each element is there, none and no rule twice; 64 DELs at once leave nothing', async () => {
  await inWorld(1, async world => {
    const numbers = Array.from({ length: 64 }, (_, i) => i + 2)
    const all = async (verb: string): Promise<void> => {
      const replies = await Promise.all(
        numbers.map(n => {
          const config = network(world, n, [{ hostPort: 8000 + n, containerPort: 80 }])
          return world.start('portmap', verb, config, { containerId: `c${String(n)}` })
        })
      )
      const wrong = replies.filter(reply => reply.status !== 0).map(reply => reply.stdout + reply.stderr)
      assert.equal(wrong, [], verb)
    }
    await all('ADD')
    for (const family of ['ip', 'ip6']) {
      const listed: Parsed = world.json(world.host, 'nft', '-j', 'list', 'table', family, 'patchbay-portmap')
      const ofKind = (kind: string): readonly Parsed[] => listed.nftables.flatMap((one: Parsed) => one[kind] ?? [])
      const elements = (name: string) => ofKind('map').find(one => one.name === name).elem ?? []
      const owners = (name: string) => elements(name).map((one: Parsed) => one[0].elem.comment)
      const expected = numbers.map(n => `net1 c${String(n)} eth0`).sort()
      assert.equal(owners('targets').sort(), expected, family)
      assert.equal(owners('ports').sort(), expected, family)
      const ports = elements('ports').map((one: Parsed) => one[0].elem.val.concat[1])
      assert.equal(ports.sort(), numbers.map(n => 8000 + n).sort(), family)
      const from = family === 'ip' ? 'from-10.4.0.0/24' : 'from-fd00-4--/64'
      const count: Record<string, number> = {}
      for (const { chain } of ofKind('rule')) count[chain] = (count[chain] ?? 0) + 1
      const common = { prerouting: 1, output: 1, postrouting: 1, translate: 6 }
      assert.equal(count, { ...common, [from]: family === 'ip' ? 2 : 1 })
    }
    await all('DEL')
    assert.is(ruleset(world), '')
    assert.not.ok(existsSync(join(world.stateDir, 'net1')), 'no journal entry is left')
  })
})

test('zero mappings cost nothing: no socket, no file, no change, no namespace needed', async () => {
  await inWorld(1, world => {
    const before = world.snapshot()
    for (const mappings of [{ portMappings: [] }, {}, undefined]) {
      const config = network(world, 2, [], { runtimeConfig: mappings })
      const trace = join(world.directory, 'trace')
      const args = ['-f', '-o', trace, '-e', 'trace=socket,execve,?open,openat', join(world.binDir, 'portmap')]
      const input = JSON.stringify(config)
      const done = world.host.run('strace', args, { env: addEnvironment(world), input })
      assert.is(done.status, 0, done.stdout)
      assert.equal(JSON.parse(done.stdout).ips.length, 2)
      const calls = world.sh(world.host, 'cat', trace)
      assert.not.match(calls, /AF_NETLINK/)
      assert.not.match(calls, /O_CREAT/)
      assert.is(calls.match(/execve\(/g)?.length, 1)
      world.sh(world.host, 'rm', trace)
      assert.is(world.call('portmap', 'ADD', config, { netns: '/run/netns/patchbay-none' }).status, 0)
    }
    assert.is(ruleset(world), '')
    assert.is(world.snapshot(), before)
  })
})

test('bad input: the error names key and value, code 7 or 2, and the system is as before', async () => {
  await inWorld(1, world => {
    prepare(world)
    world.add('portmap', network(world, 9, [{ hostPort: 9999, containerPort: 80 }]), { containerId: 'c9' })
    const rules = ruleset(world)
    const before = world.snapshot()
    const cases: readonly (readonly [object, object, number, RegExp])[] = [
      [{ ...ONE, hostPort: 0 }, {}, 7, /portMappings\[0\]\.hostPort must be an integer from 1 to 65535, got 0/],
      [{ ...ONE, hostPort: 70_000 }, {}, 7, /portMappings\[0\]\.hostPort must be .*, got 70000/],
      [{ ...ONE, hostPort: -1 }, {}, 7, /portMappings\[0\]\.hostPort must be .*, got -1/],
      [{ ...ONE, hostPort: '80' }, {}, 7, /portMappings\[0\]\.hostPort must be .*, got "80"/],
      [{ ...ONE, containerPort: 0 }, {}, 7, /portMappings\[0\]\.containerPort must be .*, got 0/],
      [{ ...ONE, containerPort: 70_000 }, {}, 7, /portMappings\[0\]\.containerPort must be .*, got 70000/],
      [{ containerPort: 80 }, {}, 7, /portMappings\[0\]\.hostPort is missing/],
      [{ ...ONE, protocol: 'icmp' }, {}, 7, /portMappings\[0\]\.protocol must be "tcp", "udp" or "sctp", got "icmp"/],
      [{ ...ONE, hostIP: '224.0.0.1' }, {}, 7, /hostIP must be an address that a host can have, got "224\.0\.0\.1"/],
      [{ ...ONE, hostIP: '255.255.255.255' }, {}, 7, /hostIP must be an address that a host can have/],
      [{ ...ONE, hostIP: '1.2.3' }, {}, 7, /portMappings\[0\]\.hostIP must be an IP address, got "1\.2\.3"/],
      [
        { ...ONE, hostIP: 'fd00:9::1' },
        { prevResult: { interfaces: [], ips: [{ address: '10.4.0.5/24' }] } },
        7,
        /hostIP must be of a family that the container has: it has no IPv6 address, got "fd00:9::1"/
      ],
      [ONE, { markMasqBit: 32 }, 7, /markMasqBit must be an integer from 0 to 31, got 32/],
      [ONE, { markMasqBit: 3, externalSetMarkChain: 'X' }, 7, /externalSetMarkChain must be absent.*got "X"/],
      [ONE, { backend: 'ipfw' }, 7, /backend must be one of .*, got "ipfw"/],
      [ONE, { snat: 'no' }, 7, /snat must be true or false, got "no"/],
      [ONE, { backend: 'nftables', externalSetMarkChain: 'X' }, 2, /externalSetMarkChain "X" is not supported/],
      [
        ONE,
        { conditionsV4: ['ip', 'saddr', '10.0.0.0/33'] },
        2,
        /conditionsV4 \[.*"10\.0\.0\.0\/33" is not understood/
      ],
      [ONE, { conditionsV6: ['ip6 saddr @x'] }, 2, /conditionsV6 \["ip6 saddr @x"\] .*"@x" is not understood/]
    ]
    for (const [mapping, more, code, message] of cases) {
      const reply = world.call('portmap', 'ADD', network(world, 2, [mapping], more))
      assert.is(reply.status, 1, reply.stdout)
      assert.is(reply.json.code, code, reply.stdout)
      assert.match(reply.json.msg, message)
    }
    assert.is(ruleset(world), rules)
    assert.is(world.snapshot(), before)
  })
})

test('a port that is taken: code 101 names the owner, and nothing is changed', async () => {
  await inWorld(1, world => {
    // An owner that no interface of the host leads to counts as gone.
    prepare(world)
    world.add('portmap', network(world, 2, [ONE]))
    const before = [ruleset(world), world.snapshot()]
    const reply = world.call('portmap', 'ADD', network(world, 3, [ONE]), { containerId: 'c2' })
    assert.is(reply.json.code, 101)
    assert.match(reply.json.msg, /tcp \*:8080: EEXIST \(mapped already by net1 c1 eth0\)/)
    assert.equal([ruleset(world), world.snapshot()], before)
  })
})

test('without iptables on the host: asked for, it is refused with key and value, and nothing is changed', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = [ruleset(world), world.snapshot()]
    const options: CallOptions = withoutTools(world, WITHOUT)
    for (const [more, message] of [
      [{ backend: 'iptables' }, /backend "iptables" is not supported: neither iptables nor ip6tables is installed/],
      [{ externalSetMarkChain: 'X' }, /externalSetMarkChain "X" is not supported: neither/],
      [{ conditionsV4: ['-s', '10.0.0.1'] }, /conditionsV4 \["-s","10\.0\.0\.1"\] is not supported: neither/]
    ] as const) {
      const reply = world.call('portmap', 'ADD', network(world, 2, [ONE], more), options)
      assert.is(reply.json?.code, 2, reply.stdout + reply.stderr)
      assert.match(reply.json.msg, message)
      // What was never made can be removed.
      world.del('portmap', network(world, 2, [ONE], more), options)
    }
    const status = world.call('portmap', 'STATUS', network(world, 2, [], { backend: 'iptables' }), options)
    assert.is(status.json.code, 50)
    assert.equal([ruleset(world), withoutScripts(world.snapshot())], before)
  })
})

/** The scripts that hide the tools are in the directory of the test. */
function withoutScripts(snapshot: string): string {
  return snapshot
    .split('\n')
    .filter(line => !line.includes('/without-tools/'))
    .join('\n')
}

test('without nft, iptables and ip on the host: ADD, CHECK, DEL, GC and STATUS work', async () => {
  await inWorld(1, world => {
    prepare(world)
    const options = withoutTools(world, WITHOUT)
    const config = network(world, 2, [ONE, { ...ONE, hostPort: 53, protocol: 'udp' }], {
      conditionsV4: ['iifname "a"']
    })
    const run = (verb: string, more: object = {}) => {
      const reply = world.call('portmap', verb, { ...config, ...more }, options)
      assert.is(reply.status, 0, `${verb}: ${reply.stdout}${reply.stderr}`)
    }
    run('ADD')
    assert.match(ruleset(world), /tcp \. 8080 comment "net1 c1 eth0" : 10\.4\.0\.2 \. 80/)
    run('CHECK')
    run('STATUS')
    run('DEL')
    assert.is(ruleset(world), '')
    run('ADD')
    run('GC', { 'cni.dev/valid-attachments': [] })
    assert.is(ruleset(world), '')
    run('DEL')
  })
})

test('flushed by somebody else in between: CHECK tells, DEL is clean, the next ADD works', async () => {
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 2, [ONE])
    const cycle = (flush: () => void, message: RegExp | undefined): void => {
      world.add('portmap', config)
      flush()
      const checked = world.call('portmap', 'CHECK', config)
      if (message === undefined) assert.is(checked.status, 0, checked.stdout)
      else assert.match(checked.json.msg, message)
    }
    const nft = (...args: readonly string[]) => world.sh(world.host, 'nft', ...args)
    const lost = /is missing or another's/
    // As firewalld and `systemctl restart nftables` do it.
    const everything = () => nft('flush', 'ruleset')
    cycle(everything, lost)
    world.del('portmap', config)
    assert.is(ruleset(world), '')
    // ADD finds an entry in the journal, and no table.
    cycle(everything, lost)
    cycle(() => nft('delete', 'table', 'ip', 'patchbay-portmap'), lost)
    world.del('portmap', config)
    assert.is(ruleset(world), '')
    cycle(() => nft('flush', 'chain', 'ip6', 'patchbay-portmap', 'translate'), /translate .* has lost rules/)
    world.del('portmap', config)
    assert.is(ruleset(world), '')
    // iptables knows its own tables only.
    cycle(() => {
      for (const tool of ['iptables', 'ip6tables']) {
        for (const table of ['nat', 'filter'])
          for (const option of ['-F', '-X']) world.sh(world.host, tool, '-t', table, option)
      }
    }, undefined)
    world.del('portmap', config)
    assert.not.match(ruleset(world), /patchbay/)
  })
})

test('iptables backend, flushed in between: CHECK tells, DEL is clean, the next ADD works', async () => {
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 2, [ONE], { backend: 'iptables' })
    const chains = () => ruleset(world).match(/chain CNI-DN-/g)?.length ?? 0
    const tools = ['iptables', 'ip6tables']
    const flushes: readonly (() => void)[] = [
      () => world.sh(world.host, 'nft', 'flush', 'ruleset'),
      () => {
        for (const tool of tools) world.sh(world.host, tool, '-t', 'nat', '-F')
      },
      () => {
        for (const tool of tools) for (const option of ['-F', '-X']) world.sh(world.host, tool, '-t', 'nat', option)
      }
    ]
    for (const flush of flushes) {
      for (const isRemoved of [true, false]) {
        world.add('portmap', config)
        assert.is(chains(), 2)
        assert.is(world.call('portmap', 'CHECK', config).status, 0)
        flush()
        const checked = world.call('portmap', 'CHECK', config)
        assert.is(checked.json?.code, 100, checked.stdout)
        if (isRemoved) world.del('portmap', config)
      }
      world.add('portmap', config)
      assert.is(world.call('portmap', 'CHECK', config).status, 0)
      world.del('portmap', config)
      assert.is(chains(), 0)
    }
  })
})

test.run()
