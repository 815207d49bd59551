import { assert, suite } from '../lib/testing/suite.ts'
import { endpointFromValue, hostFromValue, ownerFromValue } from './registry-value.ts'

const test = suite('agent/registry-value')

const GOOD = { mac: '02:00:00:00:00:07', ips: ['10.42.0.7', 'fd00::7'], vtep: '192.0.2.2' }

function endpoint(change: object): unknown {
  return endpointFromValue(JSON.stringify({ ...GOOD, ...change }), 4)
}

test('an endpoint as agents write it, and in other spellings of the same', () => {
  assert.equal(endpoint({}), GOOD)
  assert.equal(endpoint({ mac: '02-00-00-00-00-07', ips: ['10.42.0.7', 'FD00:0::0007', 'fd00::7'] }), GOOD)
  assert.equal(endpoint({ mac: '', ips: [] }), { mac: '', ips: [], vtep: '192.0.2.2' })
  assert.equal(endpoint({ hostEnd: '../../x', __proto__: null }), GOOD)
})

test('what is no endpoint is none', () => {
  for (const text of ['', '{', 'null', '[]', '7', '"x"', '{}']) assert.is(endpointFromValue(text, 4), undefined, text)
  for (const mac of [
    0,
    null,
    'x',
    '00:00:00:00:00:00',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    '02:00:00:00:00:07; reboot'
  ])
    assert.is(endpoint({ mac }), undefined, String(mac))
  for (const vtep of [
    0,
    null,
    '',
    'host',
    '0.0.0.0',
    '127.0.0.1',
    '239.1.1.1',
    '192.0.2.2/24',
    'fd00::2',
    '192.0.2.2\n'
  ])
    assert.is(endpoint({ vtep }), undefined, String(vtep))
  for (const ips of [null, 'x', { length: 1 }]) assert.is(endpoint({ ips }), undefined)
})

test('addresses that no container has are left out, and more of them than an interface has', () => {
  const ips = ['10.42.0.7', 7, null, {}, '0.0.0.0', '::', '::1', '224.0.0.1', 'ff02::1', '10.42.0.7/24', 'fd00::7']
  assert.equal(endpoint({ ips }), GOOD)
  const many = Array.from({ length: 100_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  const seen = endpointFromValue(JSON.stringify({ ...GOOD, ips: many }), 4)
  assert.is(seen?.ips.length, 64)
})

test('an owner of no known form has no name, and is not us', () => {
  const owner = { host: 'a', network: 'n', containerId: 'c', ifName: 'eth0' }
  assert.equal(ownerFromValue(JSON.stringify(owner)), owner)
  for (const text of ['', 'null', '{', '[]', '{"host":7}']) {
    assert.equal(ownerFromValue(text), { host: '', network: '', containerId: '', ifName: '' }, text)
  }
})

test('a host of no known form is nobody; leases of no known form are none', () => {
  assert.equal(hostFromValue('{"machine":"m","presence":"12","records":"9223372036854775807"}'), {
    machine: 'm',
    presence: '12',
    records: '9223372036854775807'
  })
  assert.equal(hostFromValue('{"machine":"m","presence":"x","records":7}'), {
    machine: 'm',
    presence: '',
    records: ''
  })
  for (const text of ['', 'null', '{', '{}', '{"machine":7}']) assert.is(hostFromValue(text), undefined, text)
})

test.run()
