import { CniError } from '../cni/error.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { Steps } from './steps.ts'

const test = suite('lib/attach: steps')

test('every step is tried, whatever became of those before', () => {
  const done: string[] = []
  const steps = new Steps('DEL')
  assert.is(
    steps.attempt(() => done.push('a')),
    true
  )
  assert.is(
    steps.attempt(() => {
      throw new KernelError('remove link', '"eth0"', 'EBUSY', '')
    }),
    false
  )
  steps.attempt(() => done.push('b'))
  assert.equal(done, ['a', 'b'])
  // A single failure keeps its code and words: EBUSY is worth another try.
  throwsLike(() => steps.finish(), { name: 'CniError', code: 11, message: /^remove link "eth0": EBUSY$/ })
})

test('several failures are one error under the code of the first', () => {
  const steps = new Steps('GC')
  for (const [code, message] of [
    [5, 'first'],
    [7, 'second']
  ] as const) {
    steps.attempt(() => {
      throw new CniError(code, message)
    })
  }
  throwsLike(() => steps.finish(), { code: 5, message: /^first; second$/ })
})

test('no failure, no error', () => {
  const steps = new Steps('DEL')
  steps.attempt(() => undefined)
  steps.finish()
})

test.run()
