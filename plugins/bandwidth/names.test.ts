import { createHash } from 'node:crypto'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ownIfbName, referenceIfbName } from './names.ts'

const test = suite('plugins/bandwidth/names')

test('the reference plugin names the ifb of container c1 on net1 like this', () => {
  // Seen with containernetworking-plugins 1.1.1.
  assert.is(referenceIfbName('net1', 'c1'), 'bwpc2d892b58e87')
  const digest = createHash('sha512').update('cbr0-pod-4711').digest('hex')
  assert.is(referenceIfbName('cbr0', '-pod-4711'), `bwp${digest}`.slice(0, 15))
})

test('a name of its own differs for every network, container and interface, also where their texts run together', () => {
  const names = [
    referenceIfbName('net', '1c'),
    ownIfbName('net', '1c', 'eth0'),
    ownIfbName('net1', 'c', 'eth0'),
    ownIfbName('net', '1ceth0', ''),
    ownIfbName('net', '1c', 'eth1')
  ]
  assert.is(new Set(names).size, names.length)
  for (const name of names) assert.match(name, /^bwp[0-9a-f]{12}$/)
})

test.run()
