/** The plugin beside an agent that gives prepared answers, in a process of its own: the plugin's call blocks. */
import { readdirSync } from 'node:fs'
import { markHeld, takeReleased } from '../../lib/daemon/released.ts'
import { callEnv, callInMemory, type MemoryAnswer } from '../../lib/testing/memory-io.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { cluster } from './cluster.ts'

const test = suite('ipam/cluster')

class FakeAgent extends ScriptedDaemon {
  call(command: string, ipam: object, more: object = {}, args = ''): MemoryAnswer {
    const registry = { socket: this.socket, timeout: 60 }
    const config = {
      cniVersion: '1.1.0',
      name: 'net1',
      type: 'vxlan',
      ipam: { type: 'cluster', registry, ...ipam },
      ...more
    }
    const env = callEnv(command, {
      CNI_NETNS: '/run/netns/x',
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_ARGS: args
    })
    return callInMemory(cluster(), { env, stdin: config })
  }
}

function withAgent(answers: object | undefined, body: (agent: FakeAgent) => void | Promise<void>): Promise<void> {
  return new FakeAgent().during(answers, body)
}

const RANGES = {
  ranges: [[{ subnet: '10.1.0.0/29', exclude: ['10.1.0.3'] }], [{ subnet: 'fd00::/64', gateway: 'fd00::99' }]]
}

test('ADD asks for one address of each set, without gateways and excluded ones; the answer gets length and gateway', async () => {
  await withAgent({ 'take-addresses': { ok: true, result: { ips: ['10.1.0.4', 'fd00::5'] } } }, async agent => {
    const answer = agent.call('ADD', { ...RANGES, routes: [{ dst: '0.0.0.0/0' }] }, {}, 'IP=fd00::5')
    assert.is(answer.status, 0, answer.stdout)
    assert.equal(JSON.parse(answer.stdout), {
      cniVersion: '1.1.0',
      ips: [
        { address: '10.1.0.4/29', gateway: '10.1.0.1' },
        { address: 'fd00::5/64', gateway: 'fd00::99' }
      ],
      routes: [{ dst: '0.0.0.0/0' }],
      dns: {}
    })
    assert.equal((await agent.requests(1))[0], {
      do: 'take-addresses',
      network: 'net1',
      containerId: 'c1',
      ifName: 'eth0',
      pool: 'net1',
      sets: [
        {
          path: 'ipam.ranges[0]',
          spans: [
            { first: '10.1.0.2', last: '10.1.0.2' },
            { first: '10.1.0.4', last: '10.1.0.6' }
          ]
        },
        {
          path: 'ipam.ranges[1]',
          spans: [
            { first: 'fd00::1', last: 'fd00::98' },
            { first: 'fd00::9a', last: 'fd00::ffff:ffff:ffff:ffff' }
          ],
          wanted: 'fd00::5'
        }
      ],
      milliseconds: 59_500
    })
  })
})

test('requestedFrom "subnet": an address outside of the range can be asked for, and is checked; one that is excluded cannot', async () => {
  const upper = { ranges: [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.128', exclude: ['10.1.0.9'] }]] }
  const whole = { ...upper, requestedFrom: 'subnet' }
  const answers = {
    'take-addresses': { ok: true, result: { ips: ['10.1.0.5'] } },
    addresses: { ok: true, result: { ips: ['10.1.0.5'] } }
  }
  await withAgent(answers, async agent => {
    const answer = agent.call('ADD', whole, {}, 'IP=10.1.0.5')
    assert.equal(JSON.parse(answer.stdout).ips, [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }])
    const [{ sets }] = (await agent.requests(1)) as [{ sets: unknown }]
    const spans = [
      { first: '10.1.0.2', last: '10.1.0.8' },
      { first: '10.1.0.10', last: '10.1.0.254' }
    ]
    assert.equal(sets, [{ path: 'ipam.ranges[0]', spans, wanted: '10.1.0.5' }])
    assert.is(agent.call('CHECK', whole, { prevResult: JSON.parse(answer.stdout) }).status, 0)
    for (const address of ['10.1.0.9', '10.1.0.1', '10.1.0.255', '10.2.0.5'])
      assert.is(JSON.parse(agent.call('ADD', whole, {}, `IP=${address}`).stdout).code, 101, address)
    assert.is(JSON.parse(agent.call('ADD', upper, {}, 'IP=10.1.0.5').stdout).code, 101)
  })
})

test('codes of the agent come through; an answer out of the ranges is refused; no answer in time is code 11', async () => {
  const refusal = { ok: false, code: 100, msg: 'allocate from ipam.ranges[0]: 5 of 5', details: 'widen it' }
  await withAgent({ 'take-addresses': refusal }, agent => {
    const answer = agent.call('ADD', RANGES)
    assert.equal(JSON.parse(answer.stdout), { cniVersion: '1.1.0', code: 100, msg: refusal.msg, details: 'widen it' })
    assert.is(JSON.parse(agent.call('ADD', RANGES, {}, 'IP=10.9.9.9').stdout).code, 101)
  })
  await withAgent({ 'take-addresses': { ok: true, result: { ips: ['10.9.0.4', 'fd00::5'] } } }, agent => {
    assert.is(JSON.parse(agent.call('ADD', RANGES).stdout).code, 11)
  })
  await withAgent({}, agent => {
    const started = Date.now()
    const impatient = { ...RANGES, registry: { socket: agent.socket, timeout: 1 } }
    const { code, msg } = JSON.parse(agent.call('ADD', impatient).stdout)
    assert.is(code, 11)
    assert.match(msg, /reach the agent: .*no answer in time/)
    assert.ok(Date.now() - started < 30_000)
  })
})

test('without an agent ADD is code 11 and DEL succeeds: its note waits for the agent', async () => {
  await withAgent(undefined, agent => {
    const held = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
    markHeld(agent.socket, held)
    markHeld(agent.socket, { ...held, containerId: 'c2' })
    assert.is(JSON.parse(agent.call('ADD', RANGES).stdout).code, 11)
    assert.is(agent.call('DEL', RANGES).stdout, '')
    assert.is(agent.call('DEL', {}).status, 0)
    assert.equal(readdirSync(`${agent.socket}.released`), ['net1:c1:eth0'])
    assert.equal(readdirSync(`${agent.socket}.held`), ['net1:c2:eth0'])
    assert.equal(takeReleased(agent.socket), [held])
    assert.equal(takeReleased(agent.socket), [])
  })
})

test('without an agent a DEL of what was never attached leaves nothing behind', async () => {
  await withAgent(undefined, agent => {
    assert.equal(agent.call('DEL', RANGES), { status: 0, stdout: '', stderr: '' })
    assert.equal(readdirSync(agent.directory), [])
  })
})

test('CHECK compares what the agent has with prevResult; STATUS counts', async () => {
  const answers = {
    addresses: { ok: true, result: { ips: ['10.1.0.4', 'fd00::5'] } },
    usage: {
      ok: true,
      result: {
        sets: [
          { path: 'ipam.ranges[0]', taken: 4, size: 4 },
          { path: 'ipam.ranges[1]', taken: 1, size: 9 }
        ]
      }
    }
  }
  await withAgent(answers, agent => {
    const result = (four: string): object => ({
      prevResult: { cniVersion: '1.1.0', ips: [{ address: four }, { address: 'fd00::5/64' }] }
    })
    assert.is(agent.call('CHECK', RANGES, result('10.1.0.4/29')).stdout, '')
    const wrong = JSON.parse(agent.call('CHECK', RANGES, result('10.1.0.5/29')).stdout)
    assert.is(wrong.code, 102)
    assert.match(wrong.msg, /prevResult has "10\.1\.0\.5", which is not leased to it/)
    const full = JSON.parse(agent.call('STATUS', RANGES).stdout)
    assert.is(full.code, 50)
    assert.match(full.msg, /ipam\.ranges\[0\] has 4 of 4 addresses taken$/)
  })
})

test('the configuration: ranges as in host-local, every mistake at once', async () => {
  await withAgent(undefined, agent => {
    const { code, msg } = JSON.parse(agent.call('ADD', { pool: 'a/b', ranges: [[{ subnet: '10.1.0.1/24' }]] }).stdout)
    assert.is(code, 7)
    for (const part of [/ipam\.pool must be a name/, /ranges\[0\]\[0\]\.subnet must have no host bits/])
      assert.match(msg, part)
  })
})

test.run()
