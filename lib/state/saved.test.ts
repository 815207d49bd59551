import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonText, parseJson } from '../config/json.ts'
import { assert, suite } from '../testing/suite.ts'
import { SavedFiles } from './saved.ts'

const test = suite('lib/state/saved')

function inScratch(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'saved-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('write and read: the name that the reference plugin gives the file', () =>
  inScratch(directory => {
    const files = new SavedFiles(directory)
    files.write('c1', 'eth0', parseJson('{"mtu":1500}'))
    assert.equal(readdirSync(directory), ['c1_eth0.json'])
    const saved = files.read('c1', 'eth0')
    assert.is(saved && jsonText(saved), '{"mtu":1500}')
  }))

test('readForRemoval and list: what a killed writer began is cleared away', () =>
  inScratch(directory => {
    const files = new SavedFiles(directory)
    const begun = join(directory, '.c1_eth0.json.tmp')
    writeFileSync(begun, '')
    assert.is(files.readForRemoval('c1', 'eth0'), undefined)
    assert.not(existsSync(begun))
    writeFileSync(begun, '{"mt')
    assert.equal(files.list(), [])
    assert.equal(readdirSync(directory), [])
  }))

test.run()
