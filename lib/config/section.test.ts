import { formatAddress } from '../ip/address.ts'
import { formatPrefix } from '../ip/prefix.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { readAddress, readMac, readPrefix } from './addresses.ts'
import { jsonText, parseJson } from './json.ts'
import { ConfigError, Section } from './section.ts'

const test = suite('lib/config/section')

function read(text: string): Section {
  return new Section(parseJson(text))
}

test('getters: values in any case of key, null and absent alike', () => {
  const config = read('{"MTU":1500,"IsGateway":true,"name":"x","list":["a","b"],"mode":"vepa","nothing":null}')
  assert.is(config.integer('mtu', 68, 65535), 1500)
  assert.is(config.boolean('isGateway', false), true)
  assert.is(config.text('name'), 'x')
  assert.equal(config.textList('list'), ['a', 'b'])
  assert.is(config.oneOf('mode', ['bridge', 'vepa']), 'vepa')
  for (const key of ['nothing', 'absent']) {
    assert.is(config.has(key), false)
    assert.is(config.integer(key, 0, 1), undefined)
    assert.is(config.boolean(key, true), true)
    assert.is(config.text(key), undefined)
    assert.equal(config.textList(key), [])
    assert.is(config.oneOf(key, ['a']), undefined)
    assert.is(config.section(key), undefined)
    assert.equal(config.sections(key), [])
    assert.equal(config.sectionLists(key), [])
    assert.is(config.json(key), undefined)
  }
  config.finish()
})

test('finish: one error lists every problem with path, expectation and value', () => {
  const config = read(
    '{"mtu":12,"vlan":"5","gw":1,"name":[],"list":["a",1],"mode":"x","ipam":{"ranges":[[{"subnet":"10.0.0.0"}],{"a":1},[4]],"routes":{}},"dns":7}'
  )
  config.integer('mtu', 68, 65535)
  config.integer('vlan', 0, 4094)
  config.boolean('gw', false)
  config.text('name')
  config.textList('list')
  config.oneOf('mode', ['bridge', 'vepa'])
  const ipam = config.section('ipam')
  for (const set of ipam?.sectionLists('ranges') ?? []) for (const range of set) readPrefix(range, 'subnet')
  ipam?.sections('routes')
  config.section('dns')
  ipam?.problem('type', 'is required')
  const error = throwsLike(() => config.finish(), { name: 'ConfigError' })
  assert.equal(error instanceof ConfigError ? error.problems : [], [
    'mtu must be an integer from 68 to 65535, got 12',
    'vlan must be an integer from 0 to 4094, got "5"',
    'gw must be true or false, got 1',
    'name must be a string, got []',
    'list must be an array of strings, got ["a",1]',
    'mode must be one of "bridge", "vepa", got "x"',
    'ipam.ranges[1] must be an array of objects, got {"a":1}',
    'ipam.ranges[2][0] must be an object, got 4',
    'ipam.ranges[0][0].subnet must be an IP address with prefix length, got "10.0.0.0"',
    'ipam.routes must be an array of objects, got {}',
    'dns must be an object, got 7',
    'ipam.type is required'
  ])
})

test('integer: no fractions, no exponents, nothing that would be rounded', () => {
  for (const text of ['1.0', '1e1', '1.5', '9007199254740993', '18446744073709551616', '-1', 'true', '"1"', '{}']) {
    const config = read(`{"n":${text}}`)
    assert.is(config.integer('n', 0, Number.MAX_SAFE_INTEGER), undefined, text)
    assert.is(config.problems().length, 1, text)
  }
  assert.is(read('{"n":9007199254740991}').integer('n', 0, Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
})

test('a configuration that is no object is a problem, not a crash', () => {
  const config = read('[1]')
  assert.is(config.text('a'), undefined)
  throwsLike(() => config.finish(), { message: /^configuration must be an object, got \[1\]$/ })
})

test('long values are cut in messages', () => {
  const config = read(`{"mtu":"${'x'.repeat(1000)}"}`)
  config.integer('mtu', 0, 1)
  assert.is(config.problems()[0]?.length, 'mtu must be an integer from 0 to 1, got '.length + 80)
})

test('unsupported: names key and value', () => {
  const error = read('{"ipam":{"mode":"x"}}').section('ipam')?.unsupported('mode', 'use "y"')
  assert.is(error?.message, 'ipam.mode "x" is not supported: use "y"')
  assert.is(error?.unsupported, true)
})

test('addresses: read, empty is absent, wrong is a problem', () => {
  const config = read('{"a":"fd00::1","p":"10.1.2.3/24","m":"0A:58:0a:01:00:05","e":"","bad":"10.0.0.300","n":5}')
  const [address, prefix] = [readAddress(config, 'a'), readPrefix(config, 'p')]
  assert.is(address && formatAddress(address), 'fd00::1')
  assert.is(prefix && formatPrefix(prefix), '10.1.2.3/24')
  assert.equal([...(readMac(config, 'm') ?? [])], [0x0a, 0x58, 0x0a, 0x01, 0x00, 0x05])
  for (const key of ['e', 'absent']) {
    assert.is(readAddress(config, key), undefined)
    assert.is(readPrefix(config, key), undefined)
    assert.is(readMac(config, key), undefined)
  }
  assert.equal(config.problems(), [])
  readAddress(config, 'bad')
  readPrefix(config, 'bad')
  readMac(config, 'bad')
  readAddress(config, 'n')
  assert.equal(config.problems(), [
    'bad must be an IP address, got "10.0.0.300"',
    'bad must be an IP address with prefix length, got "10.0.0.300"',
    'bad must be a MAC address of six bytes, got "10.0.0.300"',
    'n must be a string, got 5'
  ])
})

test('value and path: what was read, and where', () => {
  const config = read('{"ipam":{"a":[{"b":1}]}}')
  const inner = config.section('IPAM')?.sections('a')[0]
  assert.is(inner?.path(), 'IPAM.a[0]')
  assert.is(inner && jsonText(inner.value()), '{"b":1}')
})

test.run()
