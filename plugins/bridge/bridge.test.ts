import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import {
  DUAL_STACK_CHANGES,
  DUAL_STACK_IPAM,
  type FakeAttachment,
  withFakeKernel
} from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { bridge } from './bridge.ts'

const test = suite('plugins/bridge')

const CONFIG = {
  bridge: 'br7',
  isGateway: true,
  mtu: 1400,
  runtimeConfig: { mac: '02:00:00:00:00:07' },
  ipam: DUAL_STACK_IPAM
}

/** What the first container leaves for all that follow: the bridge with its gateway addresses, and forwarding. */
function afterFirst({ caller }: FakeAttachment): void {
  caller.ok('ADD')
  caller.ok('DEL')
}

test('host and container after ADD; everything as before after DEL', () => {
  withFakeKernel(bridge, CONFIG, attachment => {
    const { kernel, caller, box } = attachment
    afterFirst(attachment)
    const before = kernel.toText()
    const hostEnd = caller.ok('ADD').interfaces[1]?.name ?? ''
    assert.match(hostEnd, /^veth[0-9a-f]{11}$/)
    assert.equal(box(), [
      '  lo device down mtu 65536 mac 00:00:00:00:00:00',
      `  eth0 veth up mtu 1400 mac 02:00:00:00:00:07 peer ${hostEnd}@host alias "cni net1 c1 eth0"`,
      '    address 192.0.2.7/24 broadcast 192.0.2.255',
      '    address 2001:db8::7/64 nodad',
      '  route 192.0.2.0/24 dev eth0 src 192.0.2.7',
      '  route 2001:db8::/64 dev eth0 metric 256',
      '  route default IPv4 via 192.0.2.1 dev eth0',
      '  route default IPv6 via 2001:db8::1 dev eth0',
      '  sysctl ipv4/conf/eth0/arp_notify = 1',
      '  sysctl ipv6/conf/eth0/accept_dad = 0',
      '  sysctl ipv6/conf/eth0/accept_ra = 0',
      '  sysctl ipv6/conf/eth0/keep_addr_on_down = 1',
      '  sysctl ipv6/conf/eth0/ndisc_notify = 1'
    ])
    const outside = kernel.toText().split('\n')
    assert.ok(outside.includes('    address 192.0.2.1/24'), kernel.toText())
    assert.ok(outside.includes('    address 2001:db8::1/64 nodad'), kernel.toText())
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('the note of what is masqueraded goes with the rules, under one lock: no later ADD makes them again', () => {
  withFakeKernel(bridge, { ...CONFIG, ipMasq: true }, attachment => {
    const { kernel, caller } = attachment
    afterFirst(attachment)
    const masquerade = (): string => {
      const text = readFileSync(join(caller.directory, 'state', caller.journal()[0] ?? ''), 'utf8')
      return JSON.stringify(JSON.parse(text).masquerade)
    }
    caller.ok('ADD')
    assert.is(masquerade(), '["192.0.2.7/24","2001:db8::7/64"]')
    // After the rules.
    kernel.failAt(2, 'EPERM')
    assert.match(caller.fails('DEL').msg, /remove link .*EPERM/)
    assert.is(masquerade(), '[]')
    caller.ok('DEL')
    assert.equal([caller.leases.size, caller.journal().length], [0, 0])
  })
})

test('an IPAM that gives the container the gateway\u2019s own address is refused, and its lease goes back', () => {
  const ips = [{ address: '10.1.0.1/24', gateway: '10.1.0.1' }]
  const two = [{ address: '10.1.0.7/24' }, { address: '10.1.0.1/24' }]
  for (const [given, named] of [
    [ips, '10.1.0.1/24'],
    [two, '10.1.0.1/24'],
    [[{ address: 'fd00::9/64', gateway: 'fd00::9' }], 'fd00::9/64']
  ] as const) {
    withFakeKernel(bridge, { ...CONFIG, ipam: { type: 'fixed', result: { ips: given } } }, ({ caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.is(
        error.msg,
        `use address ${named} of IPAM for the container: it is the gateway's own, which the host carries`
      )
      assert.equal([...caller.leases], [])
      // Without a gateway on the host it is the container that routes: an address like any other.
      caller.ok('ADD', { config: { isGateway: false } })
    })
  }
})

test('what a plugin before it made stays in the result, and its own comes behind', () => {
  withFakeKernel(bridge, CONFIG, ({ caller }) => {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'dns0' }],
      ips: [{ address: '198.51.100.1/24', interface: 0 }],
      routes: [{ dst: '203.0.113.0/24' }],
      dns: { nameservers: ['192.0.2.53'] }
    }
    const { interfaces, ips, routes } = caller.ok('ADD', { config: { prevResult } })
    assert.is(interfaces.length, 1 + 3)
    assert.equal([interfaces[0]?.name, interfaces[3]?.name], ['dns0', 'eth0'])
    assert.equal(
      ips.map(ip => ip.interface),
      [0, 3, 3]
    )
    assert.equal([ips.length, routes.length], [3, 3])
  })
})

test('an ADD that fails at any step leaves nothing but the bridge, whatever keys are set', () => {
  const link = 'add link "vetha43e6295553"'
  const container = DUAL_STACK_CHANGES.slice(0)
  container.splice(2, 0, 'write sysctl "ipv6/conf/eth0/accept_ra" = "0"')
  for (const [more, changes] of [
    [{}, [link, ...container]],
    [{ hairpinMode: true, portIsolation: true }, [link, 'set bridge port link', ...container]],
    [{ ipMasq: true }, [link, ...container, 'commit nft batch']],
    [{ macspoofchk: true }, [link, ...container, 'commit nft batch']],
    [{ isDefaultGateway: true }, [link, ...container]]
  ] as const) {
    withFakeKernel(bridge, { ...CONFIG, ...more }, attachment => {
      afterFirst(attachment)
      const { kernel, caller } = attachment
      assert.equal(
        sweepFailures(kernel, caller, () => caller.call('ADD')),
        changes
      )
    })
  }
})

test('DEL tries every step and keeps the journal entry while something is left', () => {
  withFakeKernel(bridge, CONFIG, ({ kernel, caller }) => {
    caller.ok('ADD')
    kernel.failAt(1, 'EPERM')
    // The host's end cannot be removed by its name; the container's end can, and the pair is gone with it. But not
    // everything was done, so the address stays too.
    assert.match(caller.fails('DEL').msg, /EPERM/)
    assert.is(caller.leases.size, 1)
    assert.is(caller.journal().length, 1)
    caller.ok('DEL')
    assert.is(caller.journal().length, 0)
  })
})

test('GC removes the pairs of several attachments with one request; one by one where that is refused', () => {
  for (const isRefused of [false, true]) {
    withFakeKernel(bridge, { bridge: 'br7' }, ({ kernel, caller, box }) => {
      for (const ifName of ['eth0', 'eth1', 'eth2']) caller.ok('ADD', { ifName })
      kernel.failAt(isRefused ? 1 : 100, 'EOPNOTSUPP')
      assert.is(caller.gc([{ containerID: 'c1', ifname: 'eth1' }]).status, 0)
      const removals = kernel.changes()
      assert.match(removals[0] ?? '', /^remove links [0-9]+, [0-9]+$/)
      assert.is(removals.length, isRefused ? 3 : 1)
      assert.equal(
        box().flatMap(line => /^ {2}(eth[0-9]) veth/.exec(line)?.[1] ?? []),
        ['eth1']
      )
      assert.is(caller.journal().length, 1)
    })
  }
})

test('a DEL for an attachment that was refused leaves the interface of another network', () => {
  withFakeKernel(bridge, CONFIG, ({ caller, box, kernel }) => {
    kernel.open('/run/netns/box').links.add({ name: 'eth0', kind: { kind: 'dummy' } })
    assert.match(caller.fails('ADD').msg, /the container has an interface of this name/)
    caller.ok('DEL')
    assert.ok(box().some(line => line.startsWith('  eth0 dummy')))
  })
})

test.run()
