import { assert, suite } from '../lib/testing/suite.ts'
import { EndpointTable, type Placed } from './endpoint-table.ts'

const test = suite('agent/endpoint-table')

function on(host: string, number: number, revision: number): Placed {
  const vtep = `192.0.2.${host.charCodeAt(0) - 96}`
  return { host, mac: `02:00:00:00:00:0${number}`, ips: [`10.0.0.${number}`], vtep, revision }
}

test('what follows for host a: MACs of others to their hosts, addresses of all to MACs', () => {
  const table = new EndpointTable('a', '192.0.2.1')
  table.set('1', on('a', 1, 1))
  table.set('2', on('b', 2, 2))
  assert.is(table.vtepOf('02:00:00:00:00:01'), undefined)
  assert.is(table.vtepOf('02:00:00:00:00:02'), '192.0.2.2')
  assert.is(table.macOf('10.0.0.1'), '02:00:00:00:00:01')
  assert.equal([...table.vteps()], ['192.0.2.2'])
  const changes = table.takeChanges()
  assert.equal([...changes.macs].sort(), ['02:00:00:00:00:01', '02:00:00:00:00:02'])
  assert.equal([...changes.vteps], ['192.0.2.2'])
  assert.not.ok(table.hasChanges())
})

test('a container that moves: the later entry counts, in whatever order the two come and go', () => {
  for (const order of [
    ['old', 'new'],
    ['new', 'old']
  ]) {
    const table = new EndpointTable('a', '192.0.2.1')
    for (const key of order) table.set(key, key === 'old' ? on('b', 5, 10) : on('c', 5, 20))
    assert.is(table.vtepOf('02:00:00:00:00:05'), '192.0.2.3')
    table.remove('old')
    assert.is(table.vtepOf('02:00:00:00:00:05'), '192.0.2.3')
    assert.is(table.macOf('10.0.0.5'), '02:00:00:00:00:05')
    assert.equal([...table.vteps()], ['192.0.2.3'])
    table.remove('new')
    assert.is(table.macOf('10.0.0.5'), undefined)
    assert.equal([...table.vteps()], [])
  }
})

test('moving to this host takes the tunnel out of it', () => {
  const table = new EndpointTable('a', '192.0.2.1')
  table.set('old', on('b', 5, 10))
  table.takeChanges()
  table.set('new', on('a', 5, 20))
  assert.is(table.vtepOf('02:00:00:00:00:05'), undefined)
  assert.ok(table.takeChanges().macs.has('02:00:00:00:00:05'))
})

test('a late echo does not undo a later change; a reset keeps what is newer', () => {
  const table = new EndpointTable('a', '192.0.2.1')
  table.set('1', on('b', 5, 20))
  table.set('1', on('c', 5, 10))
  assert.is(table.vtepOf('02:00:00:00:00:05'), '192.0.2.2')
  table.set('2', on('b', 6, 21))
  table.reset(new Map([['1', on('c', 5, 30)]]))
  assert.is(table.vtepOf('02:00:00:00:00:05'), '192.0.2.3')
  assert.is(table.size, 1)
  assert.is(table.vtepOf('02:00:00:00:00:06'), undefined)
})

test('a host stays a peer until its last endpoint goes; hosts without endpoints are peers; this host never is', () => {
  const table = new EndpointTable('a', '192.0.2.1')
  table.set('1', on('b', 1, 1))
  table.set('2', on('b', 2, 2))
  table.remove('1')
  assert.ok(table.isPeer('192.0.2.2'))
  table.remove('2')
  assert.not.ok(table.isPeer('192.0.2.2'))
  for (const vtep of ['192.0.2.1', '192.0.2.9']) table.set(vtep, { host: vtep, mac: '', ips: [], vtep, revision: 3 })
  assert.equal([...table.vteps()], ['192.0.2.9'])
  assert.equal([...table.macs()], [])
})

test.run()
