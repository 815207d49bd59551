/** The released form runs on any distribution: on none at all, on another C library than this machine's, on older kernels. */
// needs: ip ping busybox strace
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binDir, ENGINE } from '../lib/testing/blackbox.ts'
import { callEnv } from '../lib/testing/memory-io.ts'
import { withNamespaces } from '../lib/testing/namespace.ts'
import { OtherRoot } from '../lib/testing/other-root.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { PT_INTERP, readElf } from './elf.ts'
import { CLANG_ADVICE } from './native-toolchain.ts'
import { pluginFolders } from './project.ts'

// What is mounted below the roots goes with this run.
withPrivateMounts(import.meta.filename)

const test = suite(`build: any distribution, ${ENGINE}`)

/** The Node engine's file is Node's own: it wants glibc, and makes system calls of newer kernels where they are. */
const missing = ENGINE === 'native' ? undefined : CLANG_ADVICE

const NAMES = pluginFolders().map(folder => folder.name)
const BRIDGE = join(binDir(), 'bridge')

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-root-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test.unless(missing, 'a root with nothing in it but the plugins: a container is wired, checked and removed', () =>
  inDirectory(directory => {
    assert.equal(
      readElf(readFileSync(BRIDGE)).segments.filter(one => one.type === PT_INTERP),
      []
    )
    new OtherRoot(directory).put(BRIDGE, NAMES).wires()
  })
)

test.unless(missing, 'a system of busybox and musl, as small distributions are', () =>
  inDirectory(directory => {
    const loader = process.arch === 'x64' ? 'ld-musl-x86_64.so.1' : 'ld-musl-aarch64.so.1'
    for (const folder of ['bin', 'lib']) mkdirSync(join(directory, folder))
    copyFileSync('/bin/busybox', join(directory, 'bin', 'sh'))
    copyFileSync(join('/lib', loader), join(directory, 'lib', loader))
    new OtherRoot(directory, ['/bin/sh', '-c', '"$0" "$@"']).put(BRIDGE, NAMES).wires()
  })
)

/** Since Linux 5.1 a new system call has the same number on all processors, from this one on. @source man 2 syscalls; unistd.h */
const FIRST_OF_5_1 = 424

test.unless(missing, 'it makes no system call that Linux 4.18 did not have', () =>
  inDirectory(directory => {
    const trace = join(directory, 'trace')
    withNamespaces(2, (host, container) => {
      const ipam = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd09::/64' }]] }
      const bridge = { type: 'bridge', bridge: 'br7', isGateway: true, ipMasq: true, macspoofchk: true }
      const input = JSON.stringify({ cniVersion: '1.1.0', name: 'net', ...bridge, ipam })
      for (const command of ['ADD', 'DEL', 'STATUS']) {
        const env = {
          PATH: process.env['PATH'] ?? '',
          ...callEnv(command, { CNI_NETNS: container.path, CNI_PATH: binDir() })
        }
        const answer = host.run('strace', ['-f', '-n', '-A', '-o', trace, BRIDGE], { env, input })
        assert.is(answer.status, 0, answer.stdout + answer.stderr)
      }
    })
    const calls = [...readFileSync(trace, 'utf8').matchAll(/^\d+ +\[ *(\d+)\] (\w+)/gm)]
    assert.ok(
      calls.some(([, , name]) => name === 'setns'),
      'it was traced'
    )
    const newer = calls.filter(([, number]) => Number(number) >= FIRST_OF_5_1).map(([, , name]) => name)
    assert.equal([...new Set(newer)], [])
  })
)

test.run()
