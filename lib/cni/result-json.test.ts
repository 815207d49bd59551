import { readFileSync } from 'node:fs'
import { parseJson } from '../config/json.ts'
import { parseAddress } from '../ip/address.ts'
import { parsePrefix } from '../ip/prefix.ts'
import { toJson } from '../testing/memory-io.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { EMPTY_RESULT, type Result } from './result.ts'
import { asSeenIn, resultFromJson, resultText } from './result-json.ts'
import { KNOWN_VERSIONS } from './version.ts'

const test = suite('lib/cni/result-json')

interface Fixture {
  readonly results: Readonly<Record<string, object>>
}

function fixture(name: string): Fixture {
  return JSON.parse(readFileSync(new URL(`../testing/cni-fixtures/${name}.json`, import.meta.url), 'utf8'))
}

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text)
}

for (const name of ['static', 'bridge']) {
  for (const [version, printed] of Object.entries(fixture(name).results)) {
    test(`what the reference ${name} prints at ${version} survives reading and writing`, () => {
      const result = resultFromJson(toJson(printed), '1.1.0', 'result')
      assert.equal(parsed(resultText(result, version)), printed)
    })
  }
}

test('from the newest form the reference makes the same older forms', () => {
  const { results } = fixture('static')
  const newest = resultFromJson(toJson(results['1.0.0']), '1.0.0', 'result')
  for (const [version, printed] of Object.entries(results)) {
    assert.equal(parsed(resultText(newest, version)), printed, version)
  }
})

/** The example of the specification 1.1.0, "ADD Success", and what each older version has a place for. */
const EXAMPLE = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'br0', mac: '00:11:22:33:44:55', mtu: 1500 },
    {
      name: 'net0',
      mac: '99:88:77:66:55:44',
      mtu: 1400,
      sandbox: '/run/netns/blue',
      socketPath: '/run/vh.sock',
      pciID: '0000:00:1f.6'
    }
  ],
  ips: [
    { interface: 1, address: '10.1.0.5/16', gateway: '10.1.0.1' },
    { address: '10.2.0.5/16' },
    { interface: 0, address: 'fd00::5/64' }
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1300, advmss: 1260, priority: 100, table: 1000, scope: 0 },
    { dst: 'fd01::/48', scope: 253 }
  ],
  dns: { nameservers: ['10.1.0.1'], domain: 'local', search: ['a', 'b'], options: ['c'] }
}

function example(): Result {
  return resultFromJson(toJson(EXAMPLE), '1.1.0', 'result')
}

test('1.1.0 has a place for everything', () => {
  assert.equal(parsed(resultText(example(), '1.1.0')), EXAMPLE)
})

test('1.0.0 drops the fields of 1.1.0', () => {
  assert.equal(parsed(resultText(example(), '1.0.0')), {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'br0', mac: '00:11:22:33:44:55' },
      { name: 'net0', mac: '99:88:77:66:55:44', sandbox: '/run/netns/blue' }
    ],
    ips: EXAMPLE.ips,
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: 'fd01::/48' }],
    dns: EXAMPLE.dns
  })
})

test('0.3.0 to 0.4.0 tell the family of each address', () => {
  for (const version of ['0.3.0', '0.3.1', '0.4.0']) {
    assert.equal(parsed(resultText(example(), version))['ips'], [
      { version: '4', interface: 1, address: '10.1.0.5/16', gateway: '10.1.0.1' },
      { version: '4', address: '10.2.0.5/16' },
      { version: '6', interface: 0, address: 'fd00::5/64' }
    ])
  }
})

test('0.1.0 and 0.2.0 keep the first address of each family, with the routes of that family', () => {
  for (const version of ['0.1.0', '0.2.0']) {
    assert.equal(parsed(resultText(example(), version)), {
      cniVersion: version,
      ip4: { ip: '10.1.0.5/16', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
      ip6: { ip: 'fd00::5/64', routes: [{ dst: 'fd01::/48' }] },
      dns: EXAMPLE.dns
    })
  }
})

test('a network without addresses can be told in every version', () => {
  for (const version of KNOWN_VERSIONS) {
    const text = resultText(EMPTY_RESULT, version)
    assert.equal(parsed(text), { cniVersion: version, dns: {} })
    assert.equal(resultFromJson(parseJson(text), version, 'result').ips, [])
  }
})

test('a delegate in this process is seen as one whose text was read', () => {
  const odd: Result = {
    interfaces: [{ name: '', mac: '', mtu: 0, sandbox: '', socketPath: '', pciID: '0000:00:1f.6' }],
    ips: [],
    routes: [{ ...(example().routes[0] ?? never()), mtu: 0, advmss: 0, priority: 0, table: 0, scope: 0 }],
    dns: { nameservers: [], domain: '', search: [], options: [] }
  }
  for (const version of KNOWN_VERSIONS) {
    for (const result of [example(), EMPTY_RESULT, odd]) {
      const read = resultFromJson(parseJson(resultText(result, version)), version, 'result')
      assert.equal(plain(asSeenIn(result, version)), plain(read), version)
    }
  }
})

/** As JSON has it: without what is undefined, and a network without addresses in the oldest form has no routes. */
function plain(result: Result): unknown {
  return JSON.parse(JSON.stringify(result))
}

function never(): never {
  throw new Error('the example has a route')
}

test('going through a version twice changes nothing more', () => {
  for (const version of KNOWN_VERSIONS) {
    const once = asSeenIn(example(), version)
    assert.equal(asSeenIn(once, version), once, version)
  }
})

test('keys are read in any case, and the version may be spelled as libcni spells it', () => {
  const result = resultFromJson(
    toJson({ CNIVersion: '0.4.0', Interfaces: [{ Name: 'a', MAC: 'b' }], IPS: [{ Address: '10.0.0.1/8' }] }),
    '1.0.0',
    'prevResult'
  )
  assert.is(result.interfaces[0]?.name, 'a')
  assert.equal(result.ips[0]?.address, parsePrefix('10.0.0.1/8'))
})

test('nulls, empty texts and unknown fields are nothing', () => {
  const odd = {
    cniVersion: '1.0.0',
    interfaces: null,
    ips: [{ interface: null, address: '10.0.0.1/8', gateway: '', extra: 1 }],
    routes: [{ dst: '10.0.0.0/8', gw: null }],
    dns: null,
    vendor: { a: 1 }
  }
  const result = resultFromJson(toJson(odd), '1.0.0', 'prevResult')
  assert.is(result.ips[0]?.interface, undefined)
  assert.is(result.ips[0]?.gateway, undefined)
  assert.is(result.routes[0]?.gw, undefined)
})

test('without a version the configuration decides', () => {
  const legacy = resultFromJson(toJson({ ip4: { ip: '10.0.0.1/8', gateway: '10.0.0.254' } }), '0.2.0', 'prevResult')
  assert.equal(legacy.ips[0]?.gateway, parseAddress('10.0.0.254'))
})

test('one error names everything that is wrong, by its path', () => {
  const bad = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 7 }],
    ips: [{ address: '10.0.0.1' }, { interface: 1.5, address: '10.0.0.1/8' }, {}],
    routes: [{ dst: 'nowhere', gw: 'x' }]
  }
  const error = throwsLike(() => resultFromJson(toJson(bad), '1.0.0', 'prevResult'), { name: 'CniError', code: 6 })
  assert.match(error.message, /^decode prevResult: /)
  for (const path of [
    'prevResult.interfaces[0].name',
    'prevResult.ips[0].address',
    'prevResult.ips[1].interface',
    'prevResult.ips[2].address is missing',
    'prevResult.routes[0].dst',
    'prevResult.routes[0].gw'
  ]) {
    assert.match(error.message, path)
  }
})

test('a number below 0 in another plugin’s result means none', () => {
  const result = resultFromJson(
    toJson({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth0', mtu: -1 }],
      ips: [{ interface: -1, address: '10.0.0.1/8' }],
      routes: [{ dst: '10.9.0.0/24', mtu: -1, advmss: -1, priority: -1, table: -1, scope: -1 }]
    }),
    '1.1.0',
    'prevResult'
  )
  assert.equal([result.interfaces[0]?.mtu, result.ips[0]?.interface], [undefined, undefined])
  const route = result.routes[0]
  assert.is(route?.dst.length, 24)
  const numbers = [route?.mtu, route?.advmss, route?.priority, route?.table, route?.scope]
  assert.equal(numbers, [undefined, undefined, undefined, undefined, undefined])
})

test('1,024 addresses are read, one more is refused by its key', () => {
  const ips = Array.from({ length: 1025 }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}/32` }))
  const read = (count: number) => resultFromJson(toJson({ ips: ips.slice(0, count) }), '1.0.0', 'prevResult')
  assert.is(read(1024).ips.length, 1024)
  throwsLike(() => read(1025), { code: 6, message: /prevResult\.ips must have 1024 members at most/ })
})

test('a version nobody knows and a result that is no object are refused', () => {
  throwsLike(() => resultFromJson(toJson({ cniVersion: '2.0.0' }), '1.0.0', 'prevResult'), {
    code: 6,
    message: /unknown cniVersion "2\.0\.0"/
  })
  throwsLike(() => resultFromJson(toJson([]), '1.0.0', 'prevResult'), {
    code: 6,
    message: /must be an object, got array/
  })
})

test.run()
