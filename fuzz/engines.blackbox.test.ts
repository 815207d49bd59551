/**
 * The executables against the same source in this process. A native compiler that treats numbers, strings, sorting or errors in
 * its own way shows here.
 *
 * PATCHBAY_SEED repeats a run, PATCHBAY_CASES makes it longer.
 */
import { binDir, ENGINE } from '../lib/testing/blackbox.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { suite } from '../lib/testing/suite.ts'
import { EngineComparison } from './engine-calls.ts'

// A mutated configuration may have lost its dataDir.
withPrivateMounts(import.meta.filename)

const SEED = Number(process.env['PATCHBAY_SEED'] ?? Date.now() % 1_000_000)
/** A call of the Node engine costs fifty of the native one, and runs what this process runs. */
const CASES = Number(process.env['PATCHBAY_CASES'] ?? (ENGINE === 'native' ? 600 : 40))

const test = suite(`fuzz/engines, executable and source, seed ${SEED} ${ENGINE}`)

test(`${CASES} calls`, () => {
  const comparison = new EngineComparison(binDir(), SEED)
  try {
    for (let i = 0; i < CASES; i += 1) comparison.next()
  } finally {
    comparison.close()
  }
})

test.run()
