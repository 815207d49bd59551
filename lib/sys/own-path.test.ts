import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../testing/suite.ts'
import { NOT_THERE, whatOthersCanChange } from './own-path.ts'

const test = suite('lib/sys/own-path')

const NOBODY = 12_345

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-own-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('what belongs to root and is closed, or sticky above, is ours; what is not there yet will be', () => {
  inDirectory(directory => {
    mkdirSync(join(directory, 'sticky'))
    chmodSync(join(directory, 'sticky'), 0o1777)
    mkdirSync(join(directory, 'sticky/own'))
    for (const path of ['', '/', '/sticky/own', '/none/at/all', '/sticky/new/state']) {
      assert.is(whatOthersCanChange(directory + path, true), '', path)
    }
    // Below a sticky directory it is made at once.
    assert.is(statSync(join(directory, 'sticky/new')).mode & 0o777, 0o700)
    assert.not.ok(existsSync(join(directory, 'none')))
    assert.is(whatOthersCanChange(join(directory, 'sticky/other'), false), NOT_THERE)
    assert.not.ok(existsSync(join(directory, 'sticky/other')))
    symlinkSync('sticky/own', join(directory, 'link'))
    assert.is(whatOthersCanChange(join(directory, 'link/state'), true), '')
    symlinkSync('nowhere', join(directory, 'torn'))
    assert.is(whatOthersCanChange(join(directory, 'torn/state'), true), '')
  })
})

test('an owner, a mode, or what a link leads to: whatever lets others put something in its place', () => {
  const cases: readonly (readonly [string, (directory: string) => void, RegExp])[] = [
    ['a', directory => lchownSync(join(directory, 'a'), NOBODY, 0), /a" belongs to user 12345$/],
    ['a/b', directory => lchownSync(join(directory, 'a'), NOBODY, 0), /a" belongs to user 12345$/],
    ['a/none', directory => chmodSync(join(directory, 'a'), 0o757), /others may write to ".*\/a"$/],
    ['a', directory => chmodSync(join(directory, 'a'), 0o1777), /others may write to ".*\/a"$/],
    ['a', directory => chownGroup(join(directory, 'a')), /others may write to ".*\/a"$/],
    ['link', directory => lchownSync(join(directory, 'link'), NOBODY, 0), /link" belongs to user 12345$/],
    ['link', directory => chmodSync(join(directory, 'a'), 0o777), /others may write to ".*\/a"$/],
    ['file/x', directory => writeFileSync(join(directory, 'file'), ''), /file" is no directory$/],
    ['link/none', directory => chmodSync(join(directory, 'a/b'), 0o777), /others may write to ".*\/a\/b"$/]
  ]
  for (const [path, open, expected] of cases) {
    inDirectory(directory => {
      mkdirSync(join(directory, 'a/b'), { recursive: true })
      symlinkSync('a/b', join(directory, 'link'))
      open(directory)
      assert.match(whatOthersCanChange(join(directory, path), true), expected)
    })
  }
})

function chownGroup(path: string): void {
  lchownSync(path, 0, NOBODY)
  chmodSync(path, 0o775)
}

test.run()
