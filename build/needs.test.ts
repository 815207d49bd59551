import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { missingNeeds, needsOf } from './needs.ts'

const test = suite('build/needs')

test('a file needs what its suite needs and what its first lines name', () => {
  assert.equal(needsOf('const x = 1', 'pure'), [])
  assert.equal(needsOf('const x = 1', 'kernel'), ['ip'])
  assert.equal(needsOf('// needs: nft reference-plugins\n', 'blackbox'), ['nft', 'reference-plugins'])
  assert.equal(needsOf('/** needs: nft ip */\n', 'kernel'), ['ip', 'nft'])
  throwsLike(() => needsOf('// needs: moonshine\n', 'pure'), { message: /"moonshine" is not in the list/ })
})

test('what is missing is named with its package', () => {
  assert.is(missingNeeds([]), undefined)
  assert.is(
    missingNeeds(['node', 'no-such-command'], '/nowhere'),
    'needs node, no-such-command: apt-get install node no-such-command'
  )
})

test.run()
