import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attachment } from '../attachment.ts'
import { FormatError } from '../config/format.ts'
import { jsonNull, jsonText, memberOf, parseJson } from '../config/json.ts'
import { assert, suite } from '../testing/suite.ts'
import { Journal } from './journal.ts'

const test = suite('lib/state/journal')

function inScratch(body: (stateDir: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'journal-'))
  try {
    body(join(directory, 'state'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function of(containerId: string, ifName: string, network = 'n'): Attachment {
  return { network, containerId, ifName }
}

const entry = parseJson('{"veth":"veth1a2b3c4d"}')

test('write and read: one file per attachment and plugin, closed to others', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'net.a', plugin: 'bridge', stateDir })
    assert.is(journal.read(of('c1', 'eth0')), undefined)
    journal.write(of('c1', 'eth0'), entry)
    const path = join(stateDir, 'net.a', 'c1:eth0.bridge.json')
    assert.equal(JSON.parse(readFileSync(path, 'utf8')), { veth: 'veth1a2b3c4d', format: 1 })
    assert.is(statSync(path).mode & 0o777, 0o600)
    assert.is(statSync(join(stateDir, 'net.a')).mode & 0o777, 0o700)
    const read = journal.read(of('c1', 'eth0'))
    assert.is(read && jsonText(read), '{"veth":"veth1a2b3c4d","format":1}')
  }))

test('list: only this plugin, only this network, dots in names are no obstacle', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    assert.equal(journal.list(), [])
    journal.write(of('c.1', 'eth0.5'), entry)
    journal.write(of('c.1', 'eth1'), entry)
    new Journal({ network: 'n', plugin: 'tuning', stateDir }).write(of('c.1', 'eth0.5'), entry)
    new Journal({ network: 'm', plugin: 'bridge', stateDir }).write(of('c2', 'eth0', 'm'), entry)
    writeFileSync(join(stateDir, 'n', '.c9:eth0.bridge.json.77.tmp'), 'left by a kill')
    const names = journal
      .list()
      .map(({ attachment }) => `${attachment.network} ${attachment.containerId} ${attachment.ifName}`)
    assert.equal(names.sort(), ['n c.1 eth0.5', 'n c.1 eth1'])
  }))

test('what a killed writer left: read by nobody, cleared away by list and remove', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    const torn = join(stateDir, 'n', '.c1:eth0.bridge.json.tmp')
    for (const clear of [() => journal.list(), () => journal.remove(of('c1', 'eth0'))]) {
      journal.write(of('c2', 'eth0'), entry)
      writeFileSync(torn, '{"ve')
      assert.is(journal.read(of('c1', 'eth0')), undefined)
      clear()
      assert.equal(readdirSync(join(stateDir, 'n')), ['c2:eth0.bridge.json'])
    }
  }))

test('names longer than a file name: written, read, listed and removed under their hash', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    const long = 'x'.repeat(5000)
    journal.write(of(long, 'eth0'), entry)
    journal.write(of(long, 'eth1'), entry)
    assert.is(memberOf(journal.read(of(long, 'eth0')) ?? jsonNull, 'veth')?.text, 'veth1a2b3c4d')
    const names = journal.list().map(({ attachment }) => `${attachment.containerId.length} ${attachment.ifName}`)
    assert.equal(names.sort(), ['5000 eth0', '5000 eth1'])
    journal.remove(of(long, 'eth0'))
    journal.remove(of(long, 'eth1'))
    assert.not.ok(existsSync(join(stateDir, 'n')))
  }))

test('a torn file is an attachment whose details are lost', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    journal.write(of('c1', 'eth0'), entry)
    for (const torn of ['', '{"veth":', '[1]', '\0\0']) {
      writeFileSync(join(stateDir, 'n', 'c1:eth0.bridge.json'), torn)
      assert.equal(
        journal.list().map(one => [one.attachment, jsonText(one.entry)]),
        [[of('c1', 'eth0'), '{}']]
      )
    }
  }))

test('format: what 0.1.0 wrote has none; what a newer version wrote is refused and stays, but is listed', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    journal.write(of('c1', 'eth0'), entry)
    const path = join(stateDir, 'n', 'c1:eth0.bridge.json')
    const judge = (text: string): void => {
      writeFileSync(path, text)
      journal.read(of('c1', 'eth0'))
      journal.readForRemoval(of('c1', 'eth0'))
    }
    for (const text of ['{"veth":"v"}', '{"veth":"v","format":1}', '{"format":1,"new":{}}']) judge(text)
    for (const format of ['2', '1e3', '"1"', 'null', '{}']) {
      const isNewer = (error: Error): boolean => error instanceof FormatError && error.message.includes(path)
      assert.throws(() => judge(`{"veth":"v","format":${format}}`), isNewer)
      assert.throws(() => journal.readForRemoval(of('c1', 'eth0')), isNewer)
    }
    assert.is(journal.list().length, 1)
  }))

test('remove: absent is fine, the last one takes the directory with it', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    journal.remove(of('c1', 'eth0'))
    journal.write(of('c1', 'eth0'), entry)
    journal.write(of('c2', 'eth0'), entry)
    journal.remove(of('c1', 'eth0'))
    journal.remove(of('c1', 'eth0'))
    assert.equal(readdirSync(join(stateDir, 'n')), ['c2:eth0.bridge.json'])
    journal.remove(of('c2', 'eth0'))
    assert.not.ok(existsSync(join(stateDir, 'n')))
  }))

test('readForRemoval: what a killed writer began is cleared away, and the directory with it', () =>
  inScratch(stateDir => {
    const journal = new Journal({ network: 'n', plugin: 'bridge', stateDir })
    journal.write(of('c1', 'eth0'), entry)
    const path = join(stateDir, 'n', '.c1:eth0.bridge.json.tmp')
    writeFileSync(path, '{"ve')
    assert.is.not(journal.readForRemoval(of('c1', 'eth0')), undefined)
    assert.ok(existsSync(path), 'whoever finds the entry removes both')
    rmSync(join(stateDir, 'n', 'c1:eth0.bridge.json'))
    assert.is(journal.readForRemoval(of('c1', 'eth0')), undefined)
    assert.not(existsSync(join(stateDir, 'n')))
  }))

test.run()
