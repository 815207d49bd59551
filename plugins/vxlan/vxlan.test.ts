import { type IpPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import {
  DUAL_STACK_CHANGES,
  DUAL_STACK_IPAM,
  type FakeAttachment,
  withFakeKernel
} from '../../lib/testing/fake-attachment.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { vxlan } from './vxlan.ts'

const test = suite('plugins/vxlan')

const CONFIG = { vni: 42, dev: 'eth1', peers: ['198.51.100.2'], ipam: DUAL_STACK_IPAM }

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

/** The host has an address on its underlay. */
function withUnderlay(config: object, body: (attachment: FakeAttachment) => void): void {
  withFakeKernel(vxlan, config, attachment => {
    const host = attachment.kernel.host()
    host.addresses.ensure(host.links.get('eth1').index, [{ prefix: prefix('198.51.100.1/24') }])
    body(attachment)
  })
}

test('an ADD that fails at any step leaves nothing', () => {
  withUnderlay(CONFIG, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, [
      'add link "br-vx42"',
      'write sysctl "ipv6/conf/br-vx42/accept_dad" = "0"',
      'set link',
      'set link',
      'add link "vx42"',
      'write sysctl "ipv6/conf/vx42/disable_ipv6" = "1"',
      'set link',
      'append fdb entry 00:00:00:00:00:00 of link',
      'add link "vetha43e6295553"',
      ...DUAL_STACK_CHANGES
    ])
  })
})

test('bridge and tunnel go with the last container; what was there before stays', () => {
  withUnderlay(CONFIG, ({ kernel, caller }) => {
    const before = kernel.toText()
    kernel.addNamespace('/run/netns/two')
    const withTwo = kernel.toText()
    caller.ok('ADD')
    caller.ok('ADD', { containerId: 'c2', netns: '/run/netns/two' })
    caller.ok('DEL', { netns: '' })
    assert.match(kernel.toText(), /br-vx42 bridge .*\n(?:.*\n)*.*vx42 vxlan/)
    caller.ok('DEL', { containerId: 'c2', netns: '' })
    assert.is(kernel.toText(), withTwo)
    kernel.removeNamespace('/run/netns/two')
    assert.is(kernel.toText(), before)

    kernel.host().links.add({ name: 'br-vx42', kind: { kind: 'bridge' } })
    caller.ok('ADD')
    caller.ok('DEL')
    assert.equal(
      kernel
        .host()
        .links.list()
        .map(link => link.name),
      ['lo', 'eth1', 'br-vx42']
    )
  })
})

test('the configuration: every mistake at once, each by its key', () => {
  withUnderlay({}, ({ caller }) => {
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{}, /vni is required.*peers or "group" or "registry" must say/],
      [{ vni: 0, peers: [] }, /vni must be an integer from 1 to 16777215, got 0/],
      [{ vni: 1, peers: ['x'], port: 0 }, /port must be .*peers must hold addresses/],
      [{ vni: 1, peers: [], registry: {} }, /exclude each other/],
      [{ vni: 1, peers: [], encrypted: true }, /encrypted needs "registry"/],
      [{ vni: 1, registry: {}, encrypted: {} }, /registry must not be there where "encrypted" is an object/],
      [{ vni: 1, peers: [], encrypted: {} }, /exclude each other/],
      [{ vni: 1, encrypted: { socket: 'x', timeout: 0 } }, /encrypted\.timeout must be .*encrypted\.socket must be/],
      [
        { vni: 1, registry: {}, encrypted: true, dev: 'eth1', local: '192.0.2.1' },
        /dev is the agent's to know .*local is the agent's to know/
      ],
      [{ vni: 1, group: '10.0.0.1' }, /group must be a multicast address/],
      [{ vni: 1, peers: ['192.0.2.1', '2001:db8::1'] }, /must be of one family/],
      [
        { vni: 1, peers: [], bridge: 'a/b', tunnel: 'sixteen-letters-' },
        /bridge must be an interface name.*tunnel must be/
      ],
      [
        { vni: 1, registry: { socket: 'x', timeout: 0 } },
        /registry\.timeout must be .*registry\.socket must be an absolute path/
      ]
    ]
    for (const [config, pattern] of wrong) {
      const error = caller.fails('ADD', { config })
      assert.is(error.code, 7)
      assert.match(error.msg, pattern)
    }
  })
})

const CARRIER = '/run/patchbay/agent/carrier.netns'

/** The agent of a host that can encrypt, where the device has an MTU of 1440. */
function agentAnswers(underlay: object): object {
  const done = { ok: true, result: null }
  const joined = { ok: true, result: { learning: false } }
  return {
    'encrypted-underlay': { ok: true, result: underlay },
    join: joined,
    publish: done,
    withdraw: done,
    check: done,
    status: done
  }
}

/** The two ways to ask for it: a person's, and what agents write. */
const WAYS: readonly ((agent: object) => object)[] = [
  registry => ({ encrypted: true, registry }),
  encrypted => ({ encrypted })
]

function withAgent(underlay: object, body: (attachment: FakeAttachment) => void, way = WAYS[0]): Promise<void> {
  return new ScriptedDaemon().during(agentAnswers(underlay), ({ socket }) => {
    const config = { vni: 42, ...way?.({ socket }), ipam: DUAL_STACK_IPAM }
    withFakeKernel(vxlan, config, attachment => {
      attachment.kernel.addNamespace(CARRIER)
      body(attachment)
    })
  })
}

const UNDERLAY = { carrier: CARRIER, local: 'fd7c::1', mtu: 1440 }

test('an encrypted tunnel goes through the carrier from the moment that it is there', async () => {
  for (const way of WAYS) {
    await withAgent(
      UNDERLAY,
      ({ kernel, caller }) => {
        const before = kernel.toText()
        const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
        assert.is(changes.filter(change => change === 'add link "vx42"').length, 1)
        assert.match(kernel.toText(), / vx42 vxlan up mtu 1370 .* through \/run\/patchbay\/agent\/carrier\.netns /)
        assert.match(kernel.toText(), / vx42 vxlan .* local fd7c::1 /)
        caller.ok('DEL', { netns: '' })
        assert.is(kernel.toText(), before)
      },
      way
    )
  }
})

test('CHECK tells a tunnel in clear from an encrypted one, and ADD makes it anew', async () => {
  await withAgent(UNDERLAY, ({ kernel, caller }) => {
    const prevResult = caller.ok('ADD')
    const asAdded = { config: { prevResult } }
    caller.ok('CHECK', asAdded)
    // As the network was before "encrypted".
    const host = kernel.host()
    const { index, info, masterIndex, groupId, alias, mtu, mac } = host.links.get('vx42')
    host.links.removeByIndex(index)
    assert.match(caller.fails('CHECK', asAdded).msg, /link "vx42" is missing/)
    if (info.kind !== 'vxlan') throw new Error('a tunnel is a vxlan')
    const made = host.links.add({ name: 'vx42', kind: info, mtu, mac, masterIndex, groupId, up: true })
    host.links.set(made.index, { alias })
    assert.match(caller.fails('CHECK', asAdded).msg, /link "vx42": it is not encrypted/)
    caller.ok('STATUS')
    kernel.addNamespace('/run/netns/two')
    caller.ok('ADD', { containerId: 'c2', netns: '/run/netns/two' })
    assert.match(kernel.toText(), / vx42 vxlan .* through /)
    // And back: what is not to be encrypted does not stay so by chance.
    const plain = { prevResult, encrypted: false, peers: [], registry: undefined, dev: 'eth1' }
    host.addresses.ensure(host.links.get('eth1').index, [{ prefix: prefix('198.51.100.1/24') }])
    assert.match(caller.fails('CHECK', { config: plain }).msg, /link "vx42": it goes through another namespace/)
  })
})

test('nothing goes out in clear where an agent names no carrier, or one that is gone', async () => {
  const refused: readonly (readonly [object, RegExp])[] = [
    [{}, /the agent named no device that encrypts/],
    [{ ...UNDERLAY, carrier: '' }, /named no device/],
    [{ ...UNDERLAY, carrier: '/run/gone' }, /encrypt tunnel "vx42": namespace "\/run\/gone" is gone/]
  ]
  for (const [underlay, pattern] of refused) {
    await withAgent(underlay, ({ kernel, caller }) => {
      const before = kernel.toText()
      const error = caller.fails('ADD')
      assert.is(error.code, 50)
      assert.match(error.msg, pattern)
      assert.is(kernel.toText(), before)
    })
  }
  await withAgent(UNDERLAY, ({ caller }) => {
    assert.match(
      caller.fails('ADD', { config: { mtu: 1371 } }).msg,
      /mtu must be at most 1370, got 1371: "WireGuard" has 1440/
    )
  })
})

test('the underlay: by dev, by local, by a peer on the same network; what is missing is said', () => {
  withUnderlay({ vni: 42, ipam: DUAL_STACK_IPAM }, ({ kernel, caller }) => {
    const tunnelOf = (config: object): string => {
      caller.ok('ADD', { config })
      const text =
        kernel
          .toText()
          .split('\n')
          .find(line => / vx42 vxlan/.test(line)) ?? ''
      caller.ok('DEL', { config })
      return text
    }
    for (const config of [
      { peers: ['198.51.100.2'] },
      { peers: ['198.51.100.1', '198.51.100.2'] },
      { peers: [], dev: 'eth1' },
      { peers: [], local: '198.51.100.1' }
    ]) {
      assert.match(tunnelOf(config), /mtu 1350/)
    }
    const refused: readonly (readonly [object, RegExp])[] = [
      [{ peers: ['203.0.113.9'] }, /no default route on the host/],
      [{ peers: [], dev: 'eth9' }, /find underlay "eth9": no such interface/],
      [{ peers: ['2001:db8::1'], dev: 'eth1' }, /"eth1" has no IPv6 address/],
      [{ peers: [], local: '203.0.113.1' }, /"203\.0\.113\.1": no interface of this host has it/],
      [{ peers: [], dev: 'eth1', mtu: 1351 }, /mtu must be at most 1350, got 1351/]
    ]
    for (const [config, pattern] of refused) {
      assert.match(caller.fails('ADD', { config }).msg, pattern)
      const status = caller.fails('STATUS', { config })
      assert.is(status.code, 50)
      assert.match(status.msg, pattern)
    }
  })
})

test.run()
