/**
 * What a mistake in the native executable can become, judged by its header and its code, and what it does where a process has
 * next to nothing: the Node engine's file is Node's own, which starts with 128 KiB of stack or not at all.
 */
// time-out: 300 s
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binDir, ENGINE } from '../lib/testing/blackbox.ts'
import { callEnv } from '../lib/testing/memory-io.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD, readElf } from './elf.ts'

const test = suite(`build/hardening ${ENGINE}`)
const isNative = ENGINE === 'native'

/** On x86-64: `mov %fs:0x28, register`, which loads the value that must be the same when the function returns. */
const CANARY_LOAD = /\x64[\x48\x4c]\x8b[\x04\x0c\x14\x1c\x2c\x34\x3c]\x25\x28\0\0\0/g

if (isNative) {
  test('position-independent; nothing both writable and executable; addresses closed before the start', () => {
    const elf = readElf(readFileSync(join(binDir(), 'bridge')))
    assert.is(elf.type, 3, 'ET_DYN')
    assert.ok(elf.bindsNow, 'BIND_NOW')
    assert.ok(
      elf.segments.some(one => one.type === PT_GNU_RELRO && one.size > 0),
      'RELRO'
    )
    const stack = elf.segments.find(one => one.type === PT_GNU_STACK)
    assert.is((stack?.flags ?? PF_X) & PF_X, 0, 'the stack is not executable')
    const both = elf.segments.filter(
      one => one.type === PT_LOAD && (one.flags & PF_W) !== 0 && (one.flags & PF_X) !== 0
    )
    assert.equal(both, [])
  })

  test('functions with arrays on the stack watch their return address', () => {
    if (process.arch !== 'x64') return
    const loads = readFileSync(join(binDir(), 'bridge'), 'latin1').match(CANARY_LOAD) ?? []
    assert.ok(loads.length > 100, `${loads.length} functions do`)
  })

  test('the released form has no interpreter, and opens no file of the host before it has work to do', () => {
    const elf = readElf(readFileSync(join(binDir(), 'bridge')))
    if (elf.segments.some(one => one.type === PT_INTERP)) return // linked with the host's libc, for want of musl
    const text = readFileSync(join(binDir(), 'bridge'), 'latin1')
    for (const name of ['nsswitch', 'gconv', 'libnss', 'ld.so']) assert.not.match(text, name)
  })

  for (const [which, limit] of [
    ['soft', '-Ss 16'],
    ['hard', '-s 16']
  ]) {
    test(`16 KiB of stack, ${which} limit: it works, or says what is missing`, () => {
      const directory = mkdtempSync(join(tmpdir(), 'patchbay-stack-'))
      try {
        const ipam = { type: 'host-local', dataDir: directory, subnet: '10.1.2.0/24' }
        const config = { cniVersion: '1.0.0', name: 'net', type: 'host-local', ipam, deep: JSON.parse(nested(100)) }
        const child = spawnSync('sh', ['-c', `ulimit ${limit}; exec "$1"`, 'sh', join(binDir(), 'host-local')], {
          env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...callEnv('ADD') },
          input: JSON.stringify(config),
          encoding: 'utf8'
        })
        assert.is(child.signal, null)
        const answer = JSON.parse(child.stdout)
        if (child.status === 0) assert.is(answer.ips[0].address, '10.1.2.2/24')
        else assert.equal([child.status, answer.code, answer.msg], [1, 999, 'the stack is used up'])
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    })
  }
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

test('a message and its details are cut where nobody reads on', () => {
  const config = { cniVersion: 'x'.repeat(200_000), name: 'net', type: 'loopback' }
  const child = spawnSync(join(binDir(), 'loopback'), [], {
    env: callEnv('DEL'),
    input: JSON.stringify(config),
    encoding: 'utf8'
  })
  const answer = JSON.parse(child.stdout)
  assert.is(answer.code, 1)
  assert.match(answer.details, /^config is "x+\.\.\. \(cut\)$/)
  assert.is(answer.details.length, 1000 + '... (cut)'.length)
})

test('GC of 10,000 leases fits into 45 MiB of addresses', () => {
  if (!isNative) return // Node itself reserves a gigabyte
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-gc-'))
  try {
    const leases = join(directory, 'net')
    spawnSync('mkdir', [leases])
    const kept = []
    for (let i = 0; i < 10_000; i += 1) {
      const containerID = String(i).padStart(64, '0')
      writeFileSync(join(leases, `10.1.${Math.floor(i / 250)}.${(i % 250) + 2}`), `${containerID}\r\neth0`)
      if (i % 2 === 0) kept.push({ containerID, ifname: 'eth0' })
    }
    const ipam = { type: 'host-local', dataDir: directory, subnet: '10.1.0.0/16' }
    const config = { cniVersion: '1.1.0', name: 'net', type: 'host-local', ipam, 'cni.dev/valid-attachments': kept }
    const child = spawnSync('sh', ['-c', 'ulimit -v 46080; exec "$1"', 'sh', join(binDir(), 'host-local')], {
      env: callEnv('GC'),
      input: JSON.stringify(config),
      encoding: 'utf8'
    })
    assert.is(child.status, 0, child.stdout + child.stderr)
    const left = spawnSync('sh', ['-c', 'ls "$1" | grep -c "^10"', 'sh', leases], { encoding: 'utf8' }).stdout
    assert.is(left.trim(), '5000')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test.run()
