import { parseAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Forwarder } from './upstream.ts'

const test = suite('agent/names/upstream')

test('a resolver that the kernel does not let be asked is one that does not answer', async () => {
  // The kernel refuses to connect to it at once (EACCES without SO_BROADCAST), as it does where there is no route.
  const address = parseAddress('255.255.255.255')
  if (address === undefined) throw new Error('no address')
  const forwarder = new Forwarder()
  assert.is(await forwarder.ask(Uint8Array.of(0, 1, 1, 0, 0, 1), [{ address }], 'udp', 'c1'), undefined)
  assert.is(forwarder.counts.failed, 1)
})

test.run()
