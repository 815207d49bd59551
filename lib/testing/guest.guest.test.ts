/** Proves that the guest has what small kernels lack. Judged by iproute2 and /proc, not by our own code. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { assert, suite } from './suite.ts'

const test = suite('lib/testing/guest')

function run(...argv: readonly string[]): string {
  const [program = '', ...args] = argv
  const child = spawnSync(program, args, { encoding: 'utf8' })
  assert.is(child.status, 0, `${argv.join(' ')}: ${child.stderr}`)
  return child.stdout
}

test('the kernel is Debian’s cloud kernel, not the host’s', () => {
  assert.match(readFileSync('/proc/version', 'utf8'), /-cloud-amd64 /)
  assert.match(readFileSync('/proc/cmdline', 'utf8'), /console=ttyS0/)
})

test('the files are the host’s, and writing to them stays in the guest', () => {
  assert.ok(existsSync(process.execPath))
  assert.match(readFileSync('/proc/mounts', 'utf8'), /^overlay \/ overlay rw/m)
  writeFileSync('/etc/patchbay-guest', 'x')
})

for (const kind of ['dummy', 'vrf', 'vlan', 'ipvlan', 'macvlan', 'vxlan', 'bridge']) {
  test(`links of kind ${kind} can be made`, () => {
    const parent = 'parent0'
    run('ip', 'link', 'add', 'name', parent, 'type', 'dummy')
    const options: Readonly<Record<string, readonly string[]>> = {
      vrf: ['table', '10'],
      vlan: ['id', '5'],
      ipvlan: ['mode', 'l2'],
      macvlan: ['mode', 'bridge'],
      vxlan: ['id', '7', 'dstport', '4789']
    }
    const below = ['vlan', 'ipvlan', 'macvlan'].includes(kind) ? ['link', parent] : []
    try {
      run('ip', 'link', 'add', ...below, 'name', 'probe0', 'type', kind, ...(options[kind] ?? []))
      const [link] = JSON.parse(run('ip', '-j', '-d', 'link', 'show', 'dev', 'probe0'))
      assert.is(link.linkinfo.info_kind, kind)
      run('ip', 'link', 'del', 'probe0')
    } finally {
      run('ip', 'link', 'del', parent)
    }
  })
}

test('a bridge filters VLANs', () => {
  run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge', 'vlan_filtering', '1', 'vlan_default_pvid', '0')
  try {
    run('ip', 'link', 'add', 'name', 'port0', 'type', 'dummy')
    run('ip', 'link', 'set', 'port0', 'master', 'br0')
    run('bridge', 'vlan', 'add', 'dev', 'port0', 'vid', '100', 'pvid', 'untagged')
    const ports = JSON.parse(run('bridge', '-j', 'vlan', 'show', 'dev', 'port0'))
    assert.equal(ports[0].vlans, [{ vlan: 100, flags: ['PVID', 'Egress Untagged'] }])
  } finally {
    run('ip', 'link', 'del', 'br0')
    run('ip', 'link', 'del', 'port0')
  }
})

test('network namespaces work', () => {
  run('ip', 'netns', 'add', 'inside')
  try {
    assert.match(run('ip', '-n', 'inside', '-br', 'link'), /^lo /)
  } finally {
    run('ip', 'netns', 'del', 'inside')
  }
})

test.run()
