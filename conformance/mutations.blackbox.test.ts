// time-out: 600 s
// needs: ip bridge tc nft strace iptables ipset
/** Every broken plugin of the mutation table is caught, and the plugin that works is not. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { CASES } from './cases/all.ts'
import { type PlannedJob, runJobs } from './coordinator.ts'
import { MUTATIONS, mutationScript } from './mutations.ts'
import { jobFor } from './plan.ts'
import { PROFILES } from './profiles.ts'
import { type CaseResult, PRECONDITION } from './run-case.ts'

const test = suite('conformance/mutations')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''

/** A directory like the real one in which a script stands in for one plugin. */
function brokenDirectory(root: string, index: number): string {
  const one = MUTATIONS[index]
  const dir = join(root, `m${index}`)
  mkdirSync(dir)
  for (const name of readdirSync(bin)) if (name !== one?.plugin) symlinkSync(join(bin, name), join(dir, name))
  if (one === undefined) return dir
  const path = join(dir, one.plugin)
  writeFileSync(path, mutationScript(one, join(bin, one.plugin)))
  chmodSync(path, 0o755)
  return dir
}

function jobOf(index: number, set: number, dir: string): PlannedJob {
  const mutation = MUTATIONS[index]
  const one = CASES.find(({ id }) => id === mutation?.caseId)
  const profile = PROFILES.find(({ type }) => type === mutation?.plugin)
  assert.ok(one !== undefined && profile !== undefined, `mutation ${index} names a case and a plugin that exist`)
  return jobFor(one, { profile, set, dir, seed: 20260101, effort: 0.005 })
}

async function run(jobs: readonly PlannedJob[], keep: readonly string[]): Promise<ReadonlyMap<number, CaseResult>> {
  const results = new Map<number, CaseResult>()
  await runJobs(jobs, 4, keep, (planned, result) => results.set(planned.set, result))
  return results
}

test('every mutation is caught by the clause it breaks, which holds without it', async () => {
  assert.ok(bin !== '' && existsSync(join(bin, 'bridge')), 'PATCHBAY_BIN_DIR names a directory of plugins')
  const root = mkdtempSync(join(tmpdir(), 'patchbay-mutations-'))
  try {
    // The table proves the suite, not the engine: the slower one gets a sample.
    const every = process.env['PATCHBAY_ENGINE'] === 'node' ? 8 : 1
    const indices = MUTATIONS.map((_one, index) => index).filter(index => index % every === 0)
    const broken = await run(
      indices.map(index => jobOf(index, index, brokenDirectory(root, index))),
      [bin, root]
    )
    const missed = indices.filter(index => {
      const clause = MUTATIONS[index]?.clause
      return !broken.get(index)?.findings.some(one => one.clause === clause && one.expected !== PRECONDITION)
    })
    assert.equal(
      missed.map(index => [MUTATIONS[index]?.clause, MUTATIONS[index]?.name, broken.get(index)]),
      []
    )
    // Many break the same case of the same plugin, which is run once.
    const caseKey = (index: number) => `${MUTATIONS[index]?.plugin}/${MUTATIONS[index]?.caseId}`
    const firsts = new Map(indices.toReversed().map(index => [caseKey(index), index]))
    const sound = await run(
      [...firsts.values()].map(index => jobOf(index, index, bin)),
      [bin]
    )
    const wrongly = indices.flatMap(index => {
      const clause = MUTATIONS[index]?.clause
      const found = sound.get(firsts.get(caseKey(index)) ?? index)?.findings.find(finding => finding.clause === clause)
      return found === undefined ? [] : [`${clause}: expected ${found.expected}; seen ${found.seen}`]
    })
    assert.equal([...new Set(wrongly)], [])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})

test.run()
