import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonText } from '../config/json.ts'
import { toJson } from '../testing/memory-io.ts'
import { assert, suite } from '../testing/suite.ts'
import { AttachmentCache } from './cache.ts'

const test = suite('lib/runtime/cache')

function withCache(body: (cache: AttachmentCache, directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-cache-'))
  try {
    body(new AttachmentCache(join(directory, 'cni')), join(directory, 'cni'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const CONFIG = '{ "name": "blue", "plugins": [] }\n'
const RESULT = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }], dns: {} }

/** A file as cachedInfo of libcni's api.go has it: the struct's JSON tags, `config` as base64. */
const FILE = {
  kind: 'cniCacheV1',
  containerId: 'c1',
  config: Buffer.from(CONFIG).toString('base64'),
  ifName: 'eth0',
  networkName: 'blue',
  netns: '/run/netns/blue',
  cniArgs: [['IgnoreUnknown', '1']],
  capabilityArgs: { portMappings: [{ hostPort: 80 }] },
  result: RESULT
}

const ATTACHMENT = {
  network: 'blue',
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/run/netns/blue',
  netnsIdentity: '',
  config: CONFIG,
  args: [['IgnoreUnknown', '1']] as const,
  capabilityArgs: toJson(FILE.capabilityArgs),
  result: toJson(RESULT)
}

test('writes the file that libcni reads', () => {
  withCache((cache, directory) => {
    cache.write(ATTACHMENT)
    const path = join(directory, 'results', 'blue-c1-eth0')
    assert.is(cache.pathOf('blue', 'c1', 'eth0'), path)
    assert.equal(JSON.parse(readFileSync(path, 'utf8')), FILE)
    assert.is(statSync(path).mode & 0o777, 0o600)
    assert.is(statSync(join(directory, 'results')).mode & 0o777, 0o700)
    assert.equal(readdirSync(directory), ['results'], 'no temporary file is left')
  })
})

test('reads the file that libcni writes', () => {
  withCache((cache, directory) => {
    mkdirSync(join(directory, 'results'), { recursive: true })
    writeFileSync(join(directory, 'results', 'blue-c1-eth0'), JSON.stringify(FILE))
    assert.equal(cache.find('blue', 'c1', 'eth0'), ATTACHMENT)
    assert.equal(cache.list(), [ATTACHMENT])
    assert.equal(cache.list('green'), [])
    assert.is(cache.find('blue', 'c1', 'eth1'), undefined)
  })
})

test('what is absent is left out, as omitempty does', () => {
  withCache((cache, directory) => {
    const bare = { ...ATTACHMENT, netns: '', args: [], capabilityArgs: undefined, result: undefined }
    cache.write(bare)
    const text = readFileSync(join(directory, 'results', 'blue-c1-eth0'), 'utf8')
    assert.equal(Object.keys(JSON.parse(text)), ['kind', 'containerId', 'config', 'ifName', 'networkName'])
    assert.equal(cache.find('blue', 'c1', 'eth0'), bare)
  })
})

test('a file of the time before kinds is the result alone', () => {
  withCache((cache, directory) => {
    mkdirSync(join(directory, 'results'), { recursive: true })
    writeFileSync(join(directory, 'results', 'blue-c1-eth0'), JSON.stringify(RESULT))
    const found = cache.find('blue', 'c1', 'eth0')
    assert.is(found?.result === undefined ? '' : jsonText(found.result), JSON.stringify(RESULT))
    assert.equal(cache.list(), [])
  })
})

test('damaged files are none', () => {
  withCache((cache, directory) => {
    mkdirSync(join(directory, 'results'), { recursive: true })
    for (const [name, text] of [
      ['blue-c1-eth0', '{"kind":"cniCa'],
      ['blue-c2-eth0', ''],
      ['blue-c3-eth0', '{"kind":"other"}'],
      ['blue-c4-eth0', '[]']
    ] as const) {
      writeFileSync(join(directory, 'results', name), text)
    }
    assert.equal(cache.list(), [])
    for (const id of ['c1', 'c2', 'c3', 'c4']) assert.is(cache.find('blue', id, 'eth0'), undefined, id)
  })
})

test('removing twice is no error, nor is listing nothing', () => {
  withCache(cache => {
    assert.equal(cache.list(), [])
    cache.write(ATTACHMENT)
    cache.remove('blue', 'c1', 'eth0')
    cache.remove('blue', 'c1', 'eth0')
    assert.equal(cache.list(), [])
  })
})

test('a namespace that libcni did not write down is where the result has the interface', () => {
  withCache((cache, directory) => {
    mkdirSync(join(directory, 'results'), { recursive: true })
    const { netns: _netns, ...older } = FILE
    const host = { name: 'eth0', mac: '02:00:00:00:00:01' }
    const own = { name: 'eth0', sandbox: '/var/run/netns/cni-1' }
    const written = { ...older, result: { ...RESULT, interfaces: [host, { name: 'lo', sandbox: '/x' }, own] } }
    writeFileSync(join(directory, 'results', 'blue-c1-eth0'), JSON.stringify(written))
    assert.is(cache.find('blue', 'c1', 'eth0')?.netns, '/var/run/netns/cni-1')
    writeFileSync(join(directory, 'results', 'blue-c1-eth0'), JSON.stringify(older))
    assert.is(cache.find('blue', 'c1', 'eth0')?.netns, '')
  })
})

test.run()
