/** The encrypted demo, where the kernel has WireGuard; elsewhere it says what to do. */
// needs: etcd
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { withNamespaces } from '../lib/testing/namespace.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('cli/demo-overlay')

function hasWireGuard(): boolean {
  let has = false
  withNamespaces(1, namespace => {
    has = namespace.run('ip', ['link', 'add', 'probe', 'type', 'wireguard']).status === 0
  })
  return has
}

test('--encrypted shows three hosts, or says what this kernel lacks', () => {
  const demo = join(import.meta.dirname, 'demo-overlay.ts')
  const args = ['--no-warnings', demo, '--encrypted']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (hasWireGuard()) {
    assert.is(stderr, '')
    assert.match(stdout, /WireGuard, UDP 51830/)
    assert.is(status, 0)
  } else {
    assert.match(stderr, /^this kernel has no WireGuard, which encryption needs: modprobe wireguard /)
    assert.match(stderr, /npm run in-guest -- cli\/demo-overlay\.ts --encrypted$/m)
    assert.equal([status, stdout], [1, ''])
  }
})

test.run()
