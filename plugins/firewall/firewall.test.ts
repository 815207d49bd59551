import type { Plugin } from '../../lib/cni/plugin.ts'
import { FakeKernel } from '../../lib/testing/fake-kernel/fake-kernel.ts'
import { PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { firewall } from './firewall.ts'

const test = suite('plugins/firewall')

const PREV_RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/run/netns/c1' }],
  ips: [{ interface: 1, address: '10.4.0.5/24' }]
}

function withCaller(body: (caller: PluginCaller) => void): void {
  process.env['DBUS_SYSTEM_BUS_ADDRESS'] = 'unix:path=/nonexistent'
  const kernel = new FakeKernel()
  kernel.addNamespace('/run/netns/c1')
  const plugin: Plugin = firewall(kernel)
  const caller = new PluginCaller(plugin, '/run/netns/c1', { prevResult: PREV_RESULT })
  try {
    body(caller)
  } finally {
    caller.close()
  }
}

test('bad input: key and value, and nothing is written', () =>
  withCaller(caller => {
    const policy = caller.fails('ADD', { config: { ingressPolicy: 'closed' } })
    assert.is(policy.code, 7)
    assert.match(policy.msg, /ingressPolicy must be one of .*"same-bridge".*got "closed"/)
    const backend = caller.fails('ADD', { config: { backend: 'ipfw', ingressPolicy: 1 } })
    assert.match(backend.msg, /backend must be one of .*got "ipfw"; ingressPolicy/)
    assert.is(caller.fails('ADD', { config: { prevResult: undefined } }).code, 7)
    assert.equal(caller.journal(), [])
  }))

test('open, where nobody drops: the result goes through and nothing is done', () =>
  withCaller(caller => {
    assert.equal(caller.ok('ADD', { config: { backend: '' } }).ips, PREV_RESULT.ips)
    caller.ok('CHECK')
    caller.ok('DEL', { config: { prevResult: undefined } })
    assert.equal(caller.journal(), [])
  }))

test('a missing tool is named with its key', () =>
  withCaller(caller => {
    const answer = caller.fails('STATUS', { config: { backend: 'firewalld' } })
    assert.is(answer.code, 50)
    assert.match(answer.msg, /firewalld/)
  }))

test.run()
