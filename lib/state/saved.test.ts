import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonText, parseJson } from '../config/json.ts'
import { assert, suite } from '../testing/suite.ts'
import { SavedFiles } from './saved.ts'

const test = suite('lib/state/saved')

const C1 = { network: 'net1', containerId: 'c1', ifName: 'eth0' }

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
    const files = new SavedFiles(directory, 'net1')
    files.write(C1, parseJson('{"mtu":1500}'))
    assert.equal(readdirSync(directory), ['c1_eth0.json'])
    const saved = files.read(C1)
    assert.is(saved && jsonText(saved), '{"mtu":1500,"network":"net1","containerID":"c1","ifName":"eth0","format":1}')
  }))

test("list: the attachments of the network; files that do not say whose they are, or lie under another name, are others'", () =>
  inScratch(directory => {
    new SavedFiles(directory, 'net1').write(C1, parseJson('{"mtu":1500}'))
    new SavedFiles(directory, 'net2').write({ ...C1, network: 'net2', containerId: 'c2' }, parseJson('{}'))
    writeFileSync(join(directory, 'c3_eth0.json'), '{"mtu":1400}')
    writeFileSync(join(directory, 'x.json'), '{"network":"net1","containerID":"../c1","ifName":"eth0"}')
    const files = new SavedFiles(directory, 'net1')
    assert.equal(
      files.list().map(one => one.attachment),
      [C1]
    )
  }))

test('what a newer version wrote is refused; the reference’s files have no format', () =>
  inScratch(directory => {
    const files = new SavedFiles(directory, 'net1')
    writeFileSync(join(directory, 'c1_eth0.json'), '{"mtu":1400}')
    assert.ok(files.read(C1))
    writeFileSync(join(directory, 'c1_eth0.json'), '{"mtu":1400,"format":2}')
    for (const read of [() => files.read(C1), () => files.readForRemoval(C1)]) {
      assert.throws(read, /c1_eth0\.json": it is of format 2, and this version of Patchbay knows 1$/)
    }
  }))

test('readForRemoval and list: what a killed writer began is cleared away', () =>
  inScratch(directory => {
    const files = new SavedFiles(directory, 'net1')
    const begun = join(directory, '.c1_eth0.json.tmp')
    writeFileSync(begun, '')
    assert.is(files.readForRemoval(C1), undefined)
    assert.not(existsSync(begun))
    writeFileSync(begun, '{"mt')
    assert.equal(files.list(), [])
    assert.equal(readdirSync(directory), [])
  }))

test.run()
