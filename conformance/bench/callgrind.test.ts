import { assert, suite } from '../../lib/testing/suite.ts'
import { instructionsIn } from './callgrind.ts'

const test = suite('conformance/bench/callgrind')

const LOG = `==31== Callgrind, a call-graph generating cache profiler
==31== Command: /opt/cni/bin/bridge
==31==
==31== Events    : Ir
==31== Collected : 2728354
==31==
==31== I   refs:      2,728,354
`

test('instructionsIn: the number behind Collected, nothing of a log that ends before it', () => {
  assert.is(instructionsIn(LOG), 2_728_354)
  assert.is(instructionsIn(LOG.slice(0, 100)), undefined)
})

test.run()
