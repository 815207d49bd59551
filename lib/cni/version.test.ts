import { readFileSync } from 'node:fs'
import { assert, suite } from '../testing/suite.ts'
import {
  isAtLeast,
  isVersion,
  KNOWN_VERSIONS,
  NEWEST_VERSION,
  PATCHBAY_VERSION,
  REFERENCE_LEVEL,
  versionsSince
} from './version.ts'

const test = suite('lib/cni/version')

test('versions compare by number, not by text', () => {
  assert.ok(isAtLeast('0.10.0', '0.9.0'))
  assert.not.ok(isAtLeast('0.9.9', '0.10.0'))
  assert.ok(isAtLeast('1.0.0', '1.0.0'))
  assert.not.ok(isAtLeast('0.4.0', '1.0.0'))
})

test('three numbers are a version, nothing else is', () => {
  for (const text of ['1.1.0', '0.0.0', '10.20.30']) assert.ok(isVersion(text), text)
  for (const text of ['', '1', '1.1', '1.1.0.0', 'v1.1.0', '1.1.0-rc1', '1.1.x', ' 1.1.0'])
    assert.not.ok(isVersion(text), text)
})

test('the newest version is the last known one', () => {
  assert.is(KNOWN_VERSIONS[KNOWN_VERSIONS.length - 1], NEWEST_VERSION)
  assert.equal(versionsSince('0.4.0'), ['0.4.0', '1.0.0', '1.1.0'])
  assert.equal(versionsSince('0.1.0'), KNOWN_VERSIONS)
})

test('the own version is that of package.json, and the reference level satisfies nerdctl', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { version: string } = JSON.parse(text)
  assert.is(PATCHBAY_VERSION, version)
  assert.ok(isAtLeast(REFERENCE_LEVEL, '1.7.1'))
})

test.run()
