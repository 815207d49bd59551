/**
 * A bounded part of `npm run fuzz`: what was ever found, and some inputs that nobody has tried.
 *
 * PATCHBAY_SEED repeats a run.
 */
import { Random } from '../lib/testing/mutation.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { type Finding, judged, keptInputs } from './findings.ts'
import { TARGETS } from './targets.ts'

const SEED = Number(process.env['PATCHBAY_SEED'] ?? Date.now() % 1_000_000)
const INPUTS = 1500

const test = suite(`fuzz, seed ${SEED}`)

function wants(finding: Finding | undefined): void {
  const shown = finding === undefined ? '' : `${Buffer.from(finding.input).toString('base64')}\n${finding.why}`
  assert.is(finding, undefined, shown)
}

for (const target of TARGETS) {
  test(`${target.name}: what was found before`, () => {
    for (const input of keptInputs(target.name)) wants(judged(target, input))
  })

  test(`${target.name}: ${INPUTS} new inputs`, () => {
    const random = new Random(SEED)
    for (let i = 0; i < INPUTS; i += 1) wants(judged(target, target.make(random)))
  })
}

test('a judge that never objects would be none: wrong answers are found', () => {
  const broken = { name: 'broken', make: () => new Uint8Array(1), judge: () => assert.unreachable('it objects') }
  assert.is(judged(broken, new Uint8Array(1))?.target, 'broken')
})

test.run()
