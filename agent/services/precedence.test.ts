/** Two services with one address or port: who has it does not depend on which was heard of first. */
import { formatAddress, parseAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Precedence } from './precedence.ts'
import type { ServiceRecord } from './record.ts'

const test = suite('agent/services, precedence')

function record(name: string, more: Partial<ServiceRecord>): ServiceRecord {
  return {
    name,
    id: 'a'.repeat(64),
    created: '2026-11-27T08:00:00.000Z',
    network: 'blue',
    alias: name,
    mode: 'vip',
    vips: ['10.4.0.100', 'fd00::100'].flatMap(text => parseAddress(text) ?? []),
    pool: 'blue',
    leases: '',
    leaseHost: '',
    isSticky: false,
    published: [],
    ...more
  }
}

const WEB = record('web', { published: [{ port: 8001, target: 80, protocol: 6 }] })
const LATER = record('a-shop', {
  created: '2026-11-27T08:00:00.001Z',
  vips: [parseAddress('10.4.0.100'), parseAddress('fd00::200')].flatMap(one => one ?? []),
  published: [
    { port: 8001, target: 81, protocol: 6 },
    { port: 8001, target: 81, protocol: 17 }
  ]
})
const UNDATED = record('aa', { created: '' })
const ELSEWHERE = record('far', { network: 'red' })

test('the older one has it, in whatever order they come; the rest of the other one stays its own', () => {
  for (const all of [
    [WEB, LATER, UNDATED, ELSEWHERE],
    [ELSEWHERE, UNDATED, LATER, WEB]
  ]) {
    const precedence = new Precedence()
    for (const one of all) precedence.replace(undefined, one)
    assert.is(precedence.granted(WEB), WEB)
    assert.is(precedence.granted(ELSEWHERE), ELSEWHERE)
    const later = precedence.granted(LATER)
    assert.equal(later.vips.map(formatAddress), ['fd00::200'])
    assert.equal(later.published, [{ port: 8001, target: 81, protocol: 17 }])
    assert.equal(precedence.refused(LATER), [
      { what: '10.4.0.100', reason: 'service "web" has it' },
      { what: '8001/tcp', reason: 'service "web" has it' }
    ])
    assert.equal(
      precedence.refused(UNDATED).map(one => one.reason),
      ['service "web" has it', 'service "web" has it']
    )
    assert.equal([...precedence.rivalsOf(WEB)].sort(), ['a-shop', 'aa'])
  }
})

test('of two of one moment the smaller id has it; whoever goes leaves it to the next', () => {
  const precedence = new Precedence()
  const twin = record('zz', { id: '9'.repeat(64) })
  for (const one of [WEB, LATER, twin]) precedence.replace(undefined, one)
  assert.is(precedence.granted(twin), twin)
  assert.equal(precedence.granted(WEB).vips, [])
  precedence.replace(twin, undefined)
  assert.is(precedence.granted(WEB), WEB)
  precedence.replace(WEB, { ...WEB, vips: [] })
  assert.equal(precedence.granted(LATER).vips.map(formatAddress), ['10.4.0.100', 'fd00::200'])
})

test.run()
