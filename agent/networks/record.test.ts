/** What other hosts wrote, read; and the file that is made of it. */
import { spawnSync } from 'node:child_process'
import { jsonText, parseJson } from '../../lib/config/json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { conflistOf, networkOfConflist } from './conflist.ts'
import { type NetworkRecord, recordFromValue, recordToValue } from './record.ts'

const test = suite('agent/networks/record')

const ID = 'ab'.repeat(32)
const VALUE = {
  id: ID,
  vni: 70_001,
  created: '2026-11-27T08:00:00.000Z',
  ranges: [
    {
      subnet: '10.42.0.0/24',
      gateway: '10.42.0.1',
      rangeStart: '10.42.0.128',
      rangeEnd: '10.42.0.254',
      exclude: ['10.42.0.200']
    },
    { subnet: 'fd42::/64', gateway: 'fd42::1' }
  ],
  internal: false,
  masquerade: true,
  names: true,
  mtu: 1400,
  labels: { tier: 'front' }
}
const SETTINGS = {
  socket: '/run/patchbay/agent.sock',
  stateDir: '/run/patchbay',
  underlay: { dev: '', local: '' }
}

function record(value: object = VALUE, name = 'blue'): NetworkRecord {
  const read = recordFromValue(name, JSON.stringify(value))
  if (typeof read === 'string') throw new Error(read)
  return read
}

function fault(value: unknown, name = 'blue'): string {
  const read = recordFromValue(name, typeof value === 'string' ? value : JSON.stringify(value))
  return typeof read === 'string' ? read : ''
}

test('a record is read and written as it is', () => {
  assert.equal(JSON.parse(recordToValue(record())), VALUE)
  const { id, vni, created } = VALUE
  const least = { id, vni, created, ranges: [{ subnet: '10.42.0.0/24', gateway: '10.42.0.1' }] }
  const { internal, masquerade, names, mtu, labels } = record(least)
  assert.equal([internal, masquerade, names, mtu, labels.size], [false, true, true, undefined, 0])
})

test('of a value with one wrong field nothing is used, and the field is named', () => {
  const range = (more: object): object => ({
    ...VALUE,
    ranges: [{ subnet: '10.42.0.0/24', gateway: '10.42.0.1', ...more }]
  })
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['{"id":', /JSON/],
    ['[]', /must be an object/],
    [{ ...VALUE, id: '../../etc' }, /id must be 64 hexadecimal digits/],
    [{ ...VALUE, vni: 0 }, /vni must be an integer from 1 to 16777215/],
    [{ ...VALUE, vni: 16_777_216 }, /vni must be/],
    [{ ...VALUE, vni: undefined }, /vni is required/],
    [{ ...VALUE, created: 'now' }, /created must be a time/],
    [{ ...VALUE, ranges: [] }, /ranges must be a list of 1 to 16/],
    [{ ...VALUE, ranges: [VALUE.ranges[0], VALUE.ranges[0]] }, /ranges must not overlap/],
    [range({ subnet: '10.42.0.1/24' }), /subnet must have no host bits/],
    [range({ subnet: '0.0.0.0/0' }), /length from 8 to 30/],
    [range({ subnet: '127.0.0.0/24', gateway: '127.0.0.1' }), /of the loopback/],
    [range({ subnet: '224.0.0.0/24', gateway: '224.0.0.1' }), /of multicast/],
    [range({ subnet: 'fe80::/64', gateway: 'fe80::1' }), /link-local/],
    [range({ gateway: '10.43.0.1' }), /gateway must be in 10\.42\.0\.0\/24/],
    [range({ gateway: undefined }), /"gateway" are required/],
    [range({ rangeStart: '10.42.0.9' }), /must be the ends of a range/],
    [range({ rangeStart: '10.42.0.9', rangeEnd: '10.42.0.8' }), /must be the ends of a range/],
    [range({ rangeStart: '10.42.0.9', rangeEnd: '10.42.1.8' }), /rangeEnd must be in/],
    [range({ exclude: ['$(reboot)'] }), /exclude must be a list/],
    [{ ...VALUE, mtu: 67 }, /mtu must be/],
    [{ ...VALUE, mtu: 1279 }, /mtu must be at least 1280 where a subnet is of IPv6, got 1279/],
    [{ ...VALUE, internal: 'yes' }, /internal must be true or false/],
    [{ ...VALUE, labels: { 'a\u001b[2J': 'b' } }, /labels must be texts/],
    [{ ...VALUE, labels: { a: 'x\u202Ey' } }, /labels must be texts/],
    [{ ...VALUE, labels: { a: 7 } }, /labels must be texts/],
    [{ ...VALUE, plugins: [{ type: 'evil' }] }, /plugins is unknown here/],
    [' '.repeat(300_000), /too long/]
  ]
  for (const [value, message] of cases) assert.match(fault(value), message)
  for (const name of ['', '..', '../x', 'a/b', 'a\nb', '-x', 'ü', 'x'.repeat(231)])
    assert.is(fault(VALUE, name), 'its name is none', name)
})

test('the file has the fields of the record and no other; sha256sum finds its digest', () => {
  const text = conflistOf({ record: record(), revision: 17 }, SETTINGS)
  const file = JSON.parse(text)
  assert.equal(Object.keys(file), ['cniVersion', 'cniVersions', 'name', 'labels', 'plugins', 'patchbay'])
  assert.equal([file.cniVersion, file.cniVersions], ['1.0.0', ['1.0.0', '1.1.0']])
  const ranges = VALUE.ranges.map(range => [range])
  assert.equal(file.plugins[0], {
    type: 'vxlan',
    vni: 70_001,
    isDefaultGateway: true,
    ipMasq: true,
    hairpinMode: true,
    mtu: 1400,
    registry: {},
    capabilities: { ips: true, mac: true },
    ipam: { type: 'cluster', requestedFrom: 'subnet', ranges }
  })
  assert.equal(file.plugins.slice(1), [
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall', ingressPolicy: 'same-bridge' },
    { type: 'dns', registry: {}, capabilities: { aliases: true } }
  ])
  const { sha256, ...mark } = file.patchbay
  assert.equal(mark, { network: VALUE, revision: 17 })
  const without = `${JSON.stringify({ ...file, patchbay: mark }, undefined, 2)}\n`
  assert.is(spawnSync('sha256sum', { input: without, encoding: 'utf8' }).stdout.split(' ')[0], sha256)
})

test('an encrypted network is one to the plugin; others have no word of it', () => {
  const value = { ...VALUE, encrypted: true }
  assert.is(JSON.parse(recordToValue(record(value))).encrypted, true)
  const [vxlan] = JSON.parse(conflistOf({ record: record(value), revision: 1 }, SETTINGS)).plugins
  assert.equal(vxlan.encrypted, {})
  // A plugin that knows no encryption finds none of its three ways to the other hosts, and refuses the network with code 7
  // (plugins/vxlan/vxlan.test.ts): it would have it in clear.
  for (const way of ['registry', 'peers', 'group']) assert.not.ok(way in vxlan, way)
  assert.is(record().encrypted, false)
  assert.match(fault({ ...VALUE, encrypted: 'yes' }), /encrypted must be/)
})

test('an internal network leads nowhere; one without names has no dns; other places are told to plugins', () => {
  const inner = record({ ...VALUE, internal: true, names: false, labels: {} })
  const settings = { socket: '/a/b.sock', stateDir: '/a', underlay: { dev: 'eth1', local: '192.0.2.7' } }
  const { plugins, labels } = JSON.parse(conflistOf({ record: inner, revision: 1 }, settings))
  assert.equal(
    plugins.map((one: { type: string }) => one.type),
    ['vxlan', 'firewall']
  )
  const [{ isDefaultGateway, ipMasq, registry, stateDir, dev, local }] = plugins
  assert.equal([dev, local], ['eth1', '192.0.2.7'])
  assert.equal(
    [isDefaultGateway, ipMasq, registry, stateDir, labels],
    [false, false, { socket: '/a/b.sock' }, '/a', undefined]
  )
})

test('the agent knows its own file, and takes one that was changed for somebody else’s', () => {
  const text = conflistOf({ record: record(), revision: 17 }, SETTINGS)
  const known = networkOfConflist(text)
  assert.is(known?.revision, 17)
  assert.is(known === undefined ? '' : recordToValue(known.record), recordToValue(record()))
  // Only laid out otherwise: the same.
  assert.is(networkOfConflist(jsonText(parseJson(text)))?.record.id, ID)
  const changes: readonly (readonly [string | RegExp, string])[] = [
    ['same-bridge', 'open'],
    ['"revision": 17', '"revision": 18'],
    ['"name": "blue"', '"name": "red"'],
    [/"sha256": ".*"/, '"sha256": ""'],
    ['"patchbay"', '"other"'],
    ['}\n', '']
  ]
  for (const [before, after] of changes) {
    assert.not.equal(text.replace(before, after), text)
    assert.is(networkOfConflist(text.replace(before, after)), undefined, String(before))
  }
})

test.run()
