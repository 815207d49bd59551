import { assert, suite } from '../../lib/testing/suite.ts'
import { portText, serviceFromValue, serviceToValue } from './record.ts'

const test = suite('agent/services, the record')

const WHOLE = {
  id: 'a'.repeat(64),
  created: '2026-11-27T08:00:00.000Z',
  network: 'blue',
  alias: 'nginx',
  mode: 'vip',
  vips: ['10.42.255.254', 'fd42::ff'],
  pool: 'blue',
  sticky: true,
  publish: [
    { port: 8001, target: 80, protocol: 'tcp' },
    { port: 53, target: 53, protocol: 'udp' }
  ]
}

test('a value comes back as it went; defaults are filled in', () => {
  const record = serviceFromValue('web', JSON.stringify(WHOLE))
  if (typeof record === 'string') throw new Error(record)
  assert.equal(JSON.parse(serviceToValue(record)), WHOLE)
  assert.equal(record.published.map(portText), ['8001/tcp', '53/udp'])
  const { id, network } = WHOLE
  const plain = serviceFromValue('web', JSON.stringify({ id, network, publish: [{ port: 80 }] }))
  if (typeof plain === 'string') throw new Error(plain)
  assert.equal([plain.alias, plain.mode, plain.vips, plain.isSticky], ['web', 'vip', [], false])
  assert.equal(plain.published, [{ port: 80, target: 80, protocol: 6 }])
})

test('what another host wrote is judged; of a wrong value nothing is used', () => {
  for (const [change, words] of [
    [{ id: 'short' }, /id must be 64/],
    [{ network: '../x' }, /network is required/],
    [{ alias: 'a b' }, /alias must be of letters/],
    [{ mode: 'proxy' }, /mode must be/],
    [{ vips: ['127.0.0.1'] }, /vips must hold addresses/],
    [{ vips: ['224.0.0.1'] }, /vips must hold addresses/],
    [{ vips: ['10.0.0.1', '10.0.0.2'] }, /one of each family/],
    [{ publish: [{ port: 0 }] }, /port must be/],
    [{ publish: [{ port: 80, protocol: 'icmp' }] }, /protocol must be one of tcp, udp, sctp/],
    [{ publish: [{ port: 80 }, { port: 80 }] }, /80\/tcp is there twice/],
    [{ publish: Array.from({ length: 257 }, (_, i) => ({ port: i + 1 })) }, /at most 256/]
  ] as const) {
    const problem = serviceFromValue('web', JSON.stringify({ ...WHOLE, ...change }))
    assert.ok(
      typeof problem === 'string' && words.test(problem),
      `${JSON.stringify(change)}: ${JSON.stringify(problem)}`
    )
  }
  for (const name of ['a.b', 'Web', '', 'a/b', 'x'.repeat(64)])
    assert.type(serviceFromValue(name, JSON.stringify(WHOLE)), 'string', name)
  assert.type(serviceFromValue('web', '{"id":'), 'string')
  assert.is(serviceFromValue('web', ' '.repeat(70_000)), 'it is too long')
})

test.run()
