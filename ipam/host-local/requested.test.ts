/** Addresses that callers ask for, where they may lie outside of the range. */
import { type LeaseNet, withLeases } from '../../lib/testing/lease-net.ts'
import { callInMemory } from '../../lib/testing/memory-io.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { hostLocal } from './host-local.ts'

const test = suite('ipam/host-local: requested addresses')

function withNet(body: (net: LeaseNet) => void): void {
  withLeases({ type: 'host-local', call: call => callInMemory(hostLocal(), call) }, body)
}

const upperHalf = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.128', exclude: ['10.1.0.9'], requestedFrom: 'subnet' }

test('requestedFrom "subnet": choices stay in the range, a request may be for any other host of the subnet', () =>
  withNet(net => {
    assert.equal(net.add('c1', upperHalf), ['10.1.0.128/24'])
    net.args = 'IP=10.1.0.5'
    assert.equal(net.add('fixed', upperHalf), ['10.1.0.5/24'])
    assert.equal(net.add('fixed', upperHalf), ['10.1.0.5/24'])
    assert.match(net.call('ADD', 'c2', upperHalf).message, /"10\.1\.0\.5" from ipam: it is taken by container "fixed"/)
    net.args = ''
    assert.equal(net.add('fixed', upperHalf), ['10.1.0.5/24'], 'what it holds')
    const shown = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.5/24' }] }
    assert.is(net.call('CHECK', 'fixed', upperHalf, { prevResult: shown }).status, 0)
    const other = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.6/24' }] }
    assert.is(net.call('CHECK', 'fixed', upperHalf, { prevResult: other }).code, 102)
    net.call('DEL', 'c1', upperHalf)
    assert.equal(net.add('c2', upperHalf), ['10.1.0.129/24'], 'a request does not move the choice back')
    net.call('DEL', 'fixed', upperHalf)
    assert.equal(net.leases(), ['10.1.0.129'])
  }))

test('requestedFrom "subnet": neither gateway, nor excluded, nor network and broadcast, nor outside; "range" as ever', () =>
  withNet(net => {
    for (const [address, reason] of [
      ['10.1.0.1', /it is the subnet's gateway/],
      ['10.1.0.9', /it is excluded/],
      ['10.1.0.0', /it is excluded/],
      ['10.1.0.255', /it is excluded/],
      ['10.2.0.5', /not in a range set/]
    ] as const) {
      net.args = `IP=${address}`
      const answer = net.call('ADD', 'c1', upperHalf)
      assert.is(answer.code, 101, address)
      assert.match(answer.message, reason)
    }
    net.args = 'IP=10.1.0.5'
    assert.is(net.call('ADD', 'c1', { ...upperHalf, requestedFrom: 'range' }).code, 101)
    assert.match(net.call('ADD', 'c1', { ...upperHalf, requestedFrom: 'all' }).message, /requestedFrom must be one of/)
    assert.equal(net.leases(), [])
  }))

test('requestedFrom "subnet": of two sets of one subnet, each gives what is in its own range', () =>
  withNet(net => {
    const first = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.10', rangeEnd: '10.1.0.19' }
    const second = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.30', rangeEnd: '10.1.0.39' }
    const ipam = { ranges: [[first], [second]], requestedFrom: 'subnet' }
    net.args = 'IP=10.1.0.35'
    assert.equal(net.add('c1', ipam), ['10.1.0.10/24', '10.1.0.35/24'])
    net.args = ''
    assert.equal(net.add('c1', ipam), ['10.1.0.10/24', '10.1.0.35/24'])
    net.args = 'IP=10.1.0.50,10.1.0.51'
    assert.match(net.call('ADD', 'c2', ipam).message, /"10\.1\.0\.51": not in a range set/)
  }))

test.run()
