import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { licensesOf, packagesOf } from './licenses.ts'

const test = suite('build/licenses')

test('the packages of a bundle are found, scoped and nested ones too, each once', () => {
  const files = [
    'cli/main.ts',
    'node_modules/b/a.js',
    'node_modules/b/c.js',
    'node_modules/@s/p/x.js',
    'node_modules/b/node_modules/a/i.js'
  ]
  assert.equal(packagesOf(files), ['@s/p', 'b', 'b/node_modules/a'])
})

test('licence texts are collected, and a package without one is refused', () => {
  const text = licensesOf(['netmask', 'uvu'])
  assert.match(text, /^== netmask ==\n/)
  assert.match(text, /Olivier Poitrey/)
  assert.match(text, /== uvu ==[\s\S]*Luke Edwards/)
  throwsLike(() => licensesOf(['no-such-package']), { message: /"no-such-package": its package holds none/ })
})

test.run()
