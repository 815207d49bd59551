// time-out: 540 s
// needs: ip bridge tc nft
/** The suite on the plugins whose kinds of links the outer kernel may lack: vlan, ipvlan, dummy, vrf. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { findingsOf, type Report } from './report.ts'

const test = suite('conformance/link-kinds')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''
// Everything takes ten times as long in there: the cases in which the kind of link matters, and for the Node engine,
// whose start alone takes a third of a second, two of them.
const MANY = [
  'add-makes',
  'del-usual',
  'del-no-prev',
  'check-tolerates',
  'check-interface',
  'vlan-',
  'ipvlan-',
  'dummy-',
  'vrf-'
]
const FEW = ['add-makes', 'del-usual']
const only = process.env['PATCHBAY_ENGINE'] === 'node' ? FEW : MANY
const PLUGINS = ['vlan', 'ipvlan', 'dummy', 'vrf']

/** Runs the suite as its users do. The program is a bundle: types are not stripped again in each of its processes. */
function judged(argv: readonly string[]): Report {
  const directory = mkdtempSync(join(tmpdir(), 'link-kinds-'))
  try {
    const json = join(directory, 'report.json')
    const [node, ...args] = patchbayProgram()
    const child = spawnSync(node, [...args, 'conformance', ...argv, '--json', json], {
      encoding: 'utf8',
      // The workers' probes wait accordingly.
      env: { ...process.env, PATCHBAY_CONFORMANCE_PATIENCE: '10' }
    })
    assert.ok(existsSync(json), `${child.stdout}${child.stderr}`)
    return JSON.parse(readFileSync(json, 'utf8'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('no MUST is broken, and nothing is left untested for want of a kernel', () => {
  const present = PLUGINS.filter(name => existsSync(join(bin, name)))
  assert.ok(bin !== '' && present.includes('vlan'), 'PATCHBAY_BIN_DIR names a directory of plugins')
  const parts = ['--part', 'protocol', '--part', 'behaviour']
  const report = judged([
    '--plugin-dir',
    bin,
    ...parts,
    ...only.flatMap(id => ['--only', id]),
    // One worker for each of the guest's processors.
    ...['--quiet', '--jobs', '2'],
    ...present.flatMap(name => ['--plugin', name])
  ])
  const [set] = report.sets
  assert.ok(set !== undefined && set.results.length > 0, 'cases were run')
  const lacking = set.results.filter(({ why }) => why.includes('kernel'))
  assert.equal([...new Set(lacking.map(({ plugin }) => plugin))], [])
  const broken = findingsOf(report, set).filter(({ level }) => level === 'MUST')
  assert.equal(
    broken.map(({ result, finding }) => `${result.plugin} ${result.caseId}: ${finding.expected}; seen ${finding.seen}`),
    []
  )
})

test.run()
