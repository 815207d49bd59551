import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { loadNetwork, loadNetworkFile, loadNetworks, NetworkError, parseNetwork, pluginType } from './network.ts'

const test = suite('lib/runtime/network')

/** A directory with these files, each written as JSON unless it is a text. */
function withFiles(files: Readonly<Record<string, unknown>>, body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-networks-'))
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(directory, name, '..'), { recursive: true })
      writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
    }
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const LIST = { cniVersion: '1.0.0', name: 'blue', plugins: [{ type: 'bridge' }, { type: 'portmap' }] }

function parse(list: object) {
  return parseNetwork(JSON.stringify(list))
}

test('lists come before single plugins, and each in the order of the file names', () => {
  const files = {
    '10-a.conf': { cniVersion: '0.3.1', name: 'single', type: 'macvlan' },
    '20-b.conflist': LIST,
    '05-c.json': { name: 'bare', type: 'loopback' },
    '30-d.conflist': { ...LIST, plugins: [{ type: 'other' }] },
    'README.txt': 'no network'
  }
  withFiles(files, directory => {
    const { networks, problems } = loadNetworks(directory)
    assert.is(problems.length, 1)
    assert.match(problems[0]?.message ?? '', /30-d\.conflist": network "blue" is in ".*20-b\.conflist" already/)
    assert.equal(
      networks.map(one => `${one.name} ${one.cniVersion} ${one.plugins.map(pluginType).join('+')}`),
      ['blue 1.0.0 bridge+portmap', 'bare 0.1.0 loopback', 'single 0.3.1 macvlan']
    )
  })
})

test('a file that is none is a problem of its own and hides no other', () => {
  withFiles({ 'a.conflist': '{', 'b.conflist': LIST, 'c.conf': { name: 'x' } }, directory => {
    const { networks, problems } = loadNetworks(directory)
    assert.equal(
      networks.map(one => one.name),
      ['blue']
    )
    assert.is(problems.length, 2)
    assert.match(problems[0]?.message ?? '', /a\.conflist": read JSON: .*line 1 column 2/)
    const error = throwsLike(() => loadNetwork(directory, 'green'), { name: 'NetworkError', message: /a\.conflist/ })
    assert.ok(error instanceof NetworkError && error.advice.includes('networks there: blue'))
    assert.is(loadNetwork(directory, 'blue').path, join(directory, 'b.conflist'))
  })
})

test('a directory that is not there holds nothing', () => {
  assert.equal(loadNetworks('/nonexistent/net.d'), { networks: [], problems: [] })
  throwsLike(() => loadNetwork('/nonexistent/net.d', 'blue'), { message: /"blue": not in "\/nonexistent\/net\.d"/ })
})

test('plugins of the directory named like the network are appended in order', () => {
  const files = {
    'a.conflist': LIST,
    'blue/20-b.conf': { type: 'tuning' },
    'blue/10-a.conf': { type: 'firewall' },
    'blue/note.txt': 'no plugin'
  }
  withFiles(files, directory => {
    const network = loadNetworkFile(join(directory, 'a.conflist'))
    assert.equal(network.plugins.map(pluginType), ['bridge', 'portmap', 'firewall', 'tuning'])
  })
  withFiles({ ...files, 'a.conflist': { ...LIST, loadOnlyInlinedPlugins: true } }, directory => {
    assert.equal(loadNetworkFile(join(directory, 'a.conflist')).plugins.length, 2)
  })
  withFiles({ ...files, 'a.conflist': { name: 'blue' } }, directory => {
    assert.equal(loadNetworkFile(join(directory, 'a.conflist')).plugins.map(pluginType), ['firewall', 'tuning'])
  })
})

test('the highest version both sides know is used', () => {
  assert.is(parse({ ...LIST, cniVersions: ['0.3.1', '1.1.0', '9.0.0'] }).cniVersion, '1.1.0')
  assert.is(parse({ ...LIST, cniVersions: ['0.3.1'] }).cniVersion, '1.0.0')
  assert.is(parse({ name: 'x', plugins: LIST.plugins, cniVersions: ['0.4.0', '0.3.1'] }).cniVersion, '0.4.0')
  assert.is(parse({ name: 'x', plugins: LIST.plugins }).cniVersion, '0.1.0')
  throwsLike(() => parse({ name: 'x', plugins: LIST.plugins, cniVersions: ['9.0.0'] }), { message: /has none of/ })
})

test('switches are true, false, or these words as text', () => {
  for (const on of [true, 'true', 'TRUE']) {
    const network = parse({ ...LIST, disableCheck: on, disableGC: on })
    assert.ok(network.disableCheck && network.disableGC)
  }
  for (const off of [false, 'false', null]) assert.not.ok(parse({ ...LIST, disableCheck: off }).disableCheck)
  for (const wrong of [1, 'yes', {}]) {
    throwsLike(() => parse({ ...LIST, disableGC: wrong }), { message: /disableGC must be true or false/ })
  }
})

test('lists that cannot run are refused with the reason', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ plugins: LIST.plugins }, /name is missing/],
    [{ ...LIST, name: '../x' }, /"\.\.\/x" is no network name/],
    [{ ...LIST, plugins: [] }, /plugins is empty/],
    [{ ...LIST, plugins: {} }, /plugins must be a list/],
    [{ ...LIST, plugins: [7] }, /plugins\[0\] must be an object/],
    [{ ...LIST, plugins: [{ type: 'a' }, {}] }, /plugins\[1\]\.type is missing/],
    [{ ...LIST, plugins: [{ type: '../a' }] }, /must be a file name/],
    [{ name: 'x', type: '' }, /type is missing/],
    [{ ...LIST, cniVersion: 1 }, /cniVersion must be a string/],
    [{ ...LIST, cniVersions: 'all' }, /cniVersions must be a list/]
  ]
  for (const [list, message] of cases) throwsLike(() => parse(list), { name: 'NetworkError', message })
  withFiles({ 'a.conflist': { name: 'x', loadOnlyInlinedPlugins: true } }, directory => {
    throwsLike(() => loadNetworkFile(join(directory, 'a.conflist')), { message: /plugins is missing/ })
  })
})

test.run()
