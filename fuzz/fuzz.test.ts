/**
 * A bounded part of `npm run fuzz`: what was ever found, and some inputs, the same each time, so that the gate says the same of
 * the same tree. `npm run fuzz` makes new ones.
 *
 * PATCHBAY_SEED changes which.
 */
import { Random } from '../lib/testing/mutation.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { judged, keptInputs, mustBeNone } from './findings.ts'
import { TARGETS } from './targets.ts'

const SEED = Number(process.env['PATCHBAY_SEED'] ?? 1)
const INPUTS = 1500

const test = suite(`fuzz, seed ${SEED}`)

for (const target of TARGETS) {
  test(`${target.name}: what was found before`, () => {
    for (const input of keptInputs(target.name)) mustBeNone(judged(target, input))
  })

  test(`${target.name}: ${INPUTS} inputs`, () => {
    const random = new Random(SEED)
    for (let i = 0; i < INPUTS; i += 1) mustBeNone(judged(target, target.make(random)))
  })
}

test('a judge that never objects would be none: wrong answers are found', () => {
  const broken = { name: 'broken', make: () => new Uint8Array(1), judge: () => assert.unreachable('it objects') }
  assert.is(judged(broken, new Uint8Array(1))?.target, 'broken')
})

test.run()
