import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { readOptions } from './options.ts'
import { Random } from './random.ts'
import { resultIn } from './result-form.ts'

const test = suite('conformance/options')

test('readOptions: names of plugin sets are given or taken from the folder', () => {
  const { sets } = readOptions(['--plugin-dir', '/usr', '--plugin-dir', 'mine=/tmp', '--reference', '/etc'])
  assert.equal(
    sets.map(({ name, dir, isReference }) => [name, dir, isReference]),
    [
      ['usr', '/usr', false],
      ['mine', '/tmp', false],
      ['reference', '/etc', true]
    ]
  )
})

test('readOptions: refuses what it cannot use, naming the option', () => {
  throwsLike(() => readOptions(['--plugin-dir', '/not/there']), { message: /--plugin-dir: there is no directory/ })
  throwsLike(() => readOptions(['--part', 'all']), { message: /--part: one of protocol/ })
  throwsLike(() => readOptions(['--skip', 'one']), { message: /--skip: ID=REASON/ })
  throwsLike(() => readOptions(['--jobs', '0']), { message: /--jobs: a whole number/ })
  throwsLike(() => readOptions(['--frob']), { message: /frob/ })
})

test('readOptions: an effort for all plugin sets, another for one of them', () => {
  const argv = ['--plugin-dir', 'a=/usr', '--plugin-dir', 'b=/tmp', '--effort', 'full', '--effort', 'b=0.2']
  assert.equal(
    readOptions(argv).sets.map(({ effort }) => effort),
    [1, 0.2]
  )
  assert.is(readOptions(['--plugin-dir', '/usr']).sets[0]?.effort, 0.05)
  throwsLike(() => readOptions(['--effort', 'b=much']), { message: /--effort: quick, full or a fraction/ })
})

test('readOptions: a configuration of an unknown plugin becomes a profile, by its ipam of one role or the other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-options-'))
  try {
    const path = join(folder, 'mine.json')
    writeFileSync(path, '{"type":"mine","name":"x","key":1,"ipam":{"type":"any"}}')
    const [profile] = readOptions(['--config', path]).profiles
    assert.equal([profile?.type, profile?.role, profile?.config], ['mine', 'interface', { key: 1 }])
    writeFileSync(path, '{"type":"mine"}')
    assert.is(readOptions(['--config', path]).profiles[0]?.role, 'chained')
    writeFileSync(path, '{}')
    throwsLike(() => readOptions(['--config', path]), { message: /key type/ })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('resultIn: the three forms of the specification', () => {
  const parts = {
    interfaces: [{ name: 'eth0' }],
    ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 }, { address: 'fd00::2/64' }],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    dns: {}
  }
  // SPEC 0.2.0, Result: ip4, ip6 with their routes.
  assert.equal(resultIn('0.2.0', parts), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
    ip6: { ip: 'fd00::2/64', gateway: undefined, routes: [{ dst: '::/0' }] },
    dns: {}
  })
  // SPEC 0.4.0, Result: ips with version.
  assert.equal(resultIn('0.4.0', parts)['ips'], [
    { version: '4', address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 },
    { version: '6', address: 'fd00::2/64' }
  ])
  // SPEC 1.0.0, Success: without version.
  assert.equal(resultIn('1.0.0', parts)['ips'], parts.ips)
})

test('Random: the same seed, the same numbers; another, others', () => {
  const draw = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 20 }, () => random.below(100))
  }
  assert.equal(draw(7), draw(7))
  assert.not.equal(draw(7), draw(8))
  assert.ok(draw(7).every(value => value >= 0 && value < 100))
})

test.run()
