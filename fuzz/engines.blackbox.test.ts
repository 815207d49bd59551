/**
 * The executables against the same source in this process. A native compiler that treats numbers, strings, sorting or errors in
 * its own way shows here.
 *
 * The same calls each time, so that the gate says the same of the same tree: `npm run fuzz` makes new ones. PATCHBAY_SEED and
 * PATCHBAY_CASES change which and how many.
 */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binDir, builtPlugins, ENGINE } from '../lib/testing/blackbox.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { ENGINE_TARGET, EngineComparison } from './engine-calls.ts'
import { keptInputs, mustBeNone } from './findings.ts'

// A mutated configuration may have lost its dataDir.
withPrivateMounts(import.meta.filename)

const SEED = Number(process.env['PATCHBAY_SEED'] ?? 1)
/** A call of the Node engine costs fifty of the native one, and runs what this process runs. */
const CASES = Number(process.env['PATCHBAY_CASES'] ?? (ENGINE === 'native' ? 600 : 40))

const test = suite(`fuzz/engines, executable and source, seed ${SEED} ${ENGINE}`)

function comparing(use: (comparison: EngineComparison) => void, directory = binDir()): void {
  const comparison = new EngineComparison(directory, SEED)
  try {
    use(comparison)
  } finally {
    comparison.close()
  }
}

test('what was found before', () => {
  comparing(comparison => {
    for (const input of keptInputs(ENGINE_TARGET)) mustBeNone(comparison.replay(input))
  })
})

test(`${CASES} calls`, () => {
  comparing(comparison => {
    for (let i = 0; i < CASES; i += 1) mustBeNone(comparison.next())
  })
})

test('executables that answer otherwise are found, and found again by what was kept', () => {
  const others = mkdtempSync(join(tmpdir(), 'patchbay-others-'))
  for (const name of builtPlugins()) symlinkSync('/bin/true', join(others, name))
  comparing(comparison => {
    const finding = comparison.next()
    assert.is(finding?.target, ENGINE_TARGET)
    const again = comparison.replay(finding?.input ?? new Uint8Array(0))
    assert.is(again?.why.split('\n')[0], finding?.why.split('\n')[0])
    assert.equal(again?.input, finding?.input)
  }, others)
  rmSync(others, { recursive: true })
})

test.run()
