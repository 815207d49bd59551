import { labelsOf } from '../../agent/traffic-metrics.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { NO_COUNTERS } from '../../lib/view/model.ts'
import type { Rated } from '../../lib/view/traffic.ts'
import { after } from './live.ts'
import { sizeText } from './size-text.ts'
import { sorted, topTable } from './table.ts'

const test = suite('cli/top: table')

function row(name: string, rxBytes: number, connections = 0): Rated {
  const rates = { ...NO_COUNTERS, rxBytes }
  return { key: name, name, network: 'web', detail: 'eth0', counters: NO_COUNTERS, connections, rates }
}

test('sizes in 1024s', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [1023, '1023'],
    [1024, '1.0Ki'],
    [1536, '1.5Ki'],
    [10 * 1024, '10Ki'],
    [1024 ** 3 * 1.25, '1.3Gi'],
    [1024 ** 5 * 2, '2048Ti']
  ]
  for (const [bytes, text] of cases) assert.is(sizeText(bytes), text)
})

test('numbers from above, names from A to Z', () => {
  const rows = [row('b', 10, 1), row('a', 20, 0), row('c', 10, 5)]
  assert.is(
    sorted(rows, 'rx')
      .map(one => one.name)
      .join(),
    'a,b,c'
  )
  assert.is(
    sorted(rows, 'connections')
      .map(one => one.name)
      .join(),
    'c,b,a'
  )
  assert.is(
    sorted(rows, 'name')
      .map(one => one.name)
      .join(),
    'a,b,c'
  )
})

test('lines are as wide as the page, and as many as fit', () => {
  const rows = [row('コンテナ'.repeat(20), 5), row('\x1b[2J', 2000), row('x', 1)]
  const lines = topTable(rows, { by: 'container', sort: 'rx', width: 100, height: 2 })
  assert.is(lines.length, 3)
  assert.match(lines[0] ?? '', /^NAME .*RX\/s\* {2}TX\/s/)
  assert.match(lines[1] ?? '', /^\\u\{1b\}\[2J .* 2\.0Ki /)
  assert.not.match(lines.join(''), /\x1b/)
  assert.is(topTable(rows, { by: 'container', sort: 'rx', width: 0, height: 1 }).length, 2, 'of no width at all')
})

test('keys', () => {
  assert.equal(after('n', { by: 'container', sort: 'rx' }), { by: 'network', sort: 'rx' })
  assert.equal(after('s', { by: 'container', sort: 'rx' }), { by: 'container', sort: 'tx' })
  assert.equal(after('s', { by: 'container', sort: 'connections' }), { by: 'container', sort: 'name' })
  assert.equal(after('x', { by: 'port', sort: 'rx' }), { by: 'port', sort: 'rx' })
})

test('labels of a metric hold any text', () => {
  assert.is(labelsOf({ ...row('a"b\\c\nd', 0) }), 'container="a\\"b\\\\c\\nd",network="web",interface="eth0"')
})

test.run()
