import { spawnSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { pack, sha256 } from './archive.ts'
import { billOfMaterials } from './sbom.ts'

const test = suite('build/archive')

function withDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-archive-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The same tree, made at another time, in another order, by somebody with another umask. */
function tree(root: string, names: readonly string[], mode: number, seconds: number): void {
  mkdirSync(join(root, 'bin'), { recursive: true, mode: mode | 0o700 })
  for (const name of names) writeFileSync(join(root, 'bin', name), name)
  linkSync(join(root, 'bin', 'a'), join(root, 'bin', 'link'))
  for (const name of names) {
    chmodSync(join(root, 'bin', name), mode)
    utimesSync(join(root, 'bin', name), seconds, seconds)
  }
}

test('the same files give the same bits', () =>
  withDirectory(directory => {
    tree(join(directory, '1'), ['a', 'b'], 0o700, 1_000_000)
    tree(join(directory, '2'), ['b', 'a'], 0o755, 2_000_000)
    for (const n of ['1', '2'])
      pack(join(directory, n), join(directory, `${n}.tar.gz`), { seconds: 12_345, prefix: 'top' }, 9)
    assert.is(sha256(join(directory, '1.tar.gz')), sha256(join(directory, '2.tar.gz')))
    pack(join(directory, '1'), join(directory, '3.tar.gz'), { seconds: 12_346, prefix: 'top' }, 9)
    assert.is.not(sha256(join(directory, '3.tar.gz')), sha256(join(directory, '1.tar.gz')))
    const listed = spawnSync('tar', ['-tvzf', join(directory, '1.tar.gz')], {
      encoding: 'utf8',
      env: { TZ: 'UTC' }
    }).stdout
    assert.match(listed, /-rwxr-xr-x 0\/0 +1 1970-01-01 03:25 top\/bin\/a\n/)
    assert.match(listed, /top\/bin\/link link to top\/bin\/a\n/)
  }))

test('a bill of materials names each part once, and every file what is in it', () => {
  const part = { name: 'p', version: '1', license: 'MIT', purl: 'pkg:npm/p@1' }
  const released = ['one', 'two'].map(file => ({ file, sha256: file.padEnd(64, '0'), components: [part] }))
  const bill = JSON.parse(JSON.stringify(billOfMaterials('0.1.0', 0, released)))
  assert.is(bill.components.filter((one: { name: string }) => one.name === 'p').length, 1)
  assert.equal(bill.dependencies[2], { ref: 'two', dependsOn: ['pkg:npm/p@1'] })
  assert.is(bill.metadata.timestamp, '1970-01-01T00:00:00.000Z')
  assert.match(bill.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(bill, JSON.parse(JSON.stringify(billOfMaterials('0.1.0', 0, released))))
})

test.run()
