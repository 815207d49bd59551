import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { HostResolvers } from './resolv-conf.ts'

const test = suite('agent/names/resolv-conf')

/** The resolvers of a host with these two files; undefined for one that is not there. */
function resolversOf(own: string | undefined, behind: string | undefined): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-resolv-'))
  try {
    const paths: [string, string] = [join(directory, 'own'), join(directory, 'behind')]
    if (own !== undefined) writeFileSync(paths[0], own)
    if (behind !== undefined) writeFileSync(paths[1], behind)
    return new HostResolvers(paths).get().map(one => formatAddress(one.address))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('what resolv.conf names, three of them, with its comments and mistakes left out', () => {
  const text = [
    '# nameserver 192.0.2.9',
    'search example.org',
    '  nameserver   192.0.2.1 # the first',
    'nameserver 2001:db8::1',
    'nameserver dns.example.org',
    'nameserver',
    'NAMESERVER 192.0.2.8',
    'nameserver 192.0.2.3',
    'nameserver 192.0.2.4'
  ]
  assert.equal(resolversOf(text.join('\n'), undefined), ['192.0.2.1', '2001:db8::1', '192.0.2.3'])
})

test('nothing to read, nothing in it, and ourselves are nobody to ask', () => {
  assert.equal(resolversOf(undefined, undefined), [])
  assert.equal(resolversOf('', 'nameserver 192.0.2.1\n'), [])
  assert.equal(resolversOf('nameserver 127.0.0.11\n', undefined), [])
})

test('behind the stub of systemd-resolved are the real ones; nothing behind it leaves the stub', () => {
  const stub = 'nameserver 127.0.0.53\noptions edns0 trust-ad\n'
  assert.equal(resolversOf(stub, 'nameserver 192.0.2.1\nnameserver 127.0.0.53\n'), ['192.0.2.1'])
  assert.equal(resolversOf(stub, undefined), ['127.0.0.53'])
  assert.equal(resolversOf('nameserver 127.0.0.1\n', 'nameserver 192.0.2.1\n'), ['127.0.0.1'])
})

test.run()
