import { assert, suite } from '../../lib/testing/suite.ts'
import { parseResolvConf, readResolvConf } from './resolv-conf.ts'

const test = suite('ipam/host-local/resolv-conf')

test('parseResolvConf: the keywords of man 5 resolv.conf, comments and oddities passed over', () => {
  const text = `# generated
; by hand
nameserver 192.0.2.0
  nameserver\t2001:db8::1 # trailing words are not read
domain first.example
domain example.com
search a.example b.example
search c.example
options ndots:5\ttimeout:2
options rotate
nameserver
#nameserver 192.0.2.9
sortlist 130.155.160.0
`
  assert.equal(parseResolvConf(text), {
    nameservers: ['192.0.2.0', '2001:db8::1'],
    domain: 'example.com',
    search: ['a.example', 'b.example', 'c.example'],
    options: ['ndots:5', 'timeout:2', 'rotate']
  })
  assert.equal(parseResolvConf(''), { nameservers: [], domain: undefined, search: [], options: [] })
})

test('readResolvConf: undefined for a file that cannot be read', () => {
  assert.is(readResolvConf('/nonexistent/resolv.conf'), undefined)
  assert.is(readResolvConf('/'), undefined)
  // Without an end.
  assert.is(readResolvConf('/dev/zero'), undefined)
})

test.run()
