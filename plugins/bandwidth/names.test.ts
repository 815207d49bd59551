import { createHash } from 'node:crypto'
import type { Attachment } from '../../lib/attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ownIfbName, referenceIfbName } from './names.ts'

function of(network: string, containerId: string, ifName = 'eth0'): Attachment {
  return { network, containerId, ifName }
}

const test = suite('plugins/bandwidth/names')

test('the reference plugin names the ifb of container c1 on net1 like this', () => {
  // Seen with containernetworking-plugins 1.1.1.
  assert.is(referenceIfbName(of('net1', 'c1')), 'bwpc2d892b58e87')
  const digest = createHash('sha512').update('cbr0-pod-4711').digest('hex')
  assert.is(referenceIfbName(of('cbr0', '-pod-4711')), `bwp${digest}`.slice(0, 15))
})

test('a name of its own differs for every network, container and interface, also where their texts run together', () => {
  const names = [
    referenceIfbName(of('net', '1c')),
    ownIfbName(of('net', '1c', 'eth0')),
    ownIfbName(of('net1', 'c', 'eth0')),
    ownIfbName(of('net', '1ceth0', '')),
    ownIfbName(of('net', '1c', 'eth1'))
  ]
  assert.is(new Set(names).size, names.length)
  for (const name of names) assert.match(name, /^bwp[0-9a-f]{12}$/)
})

test.run()
