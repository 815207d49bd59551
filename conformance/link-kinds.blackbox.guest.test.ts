// time-out: 540 s
// needs: ip bridge tc nft
/** The suite on the plugins whose kinds of links the outer kernel may lack: vlan, ipvlan, dummy, vrf. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { runSuite } from './main.ts'
import { readOptions } from './options.ts'
import { findingsOf } from './report.ts'

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

// The workers' probes wait accordingly.
process.env['PATCHBAY_CONFORMANCE_PATIENCE'] = '10'

test('no MUST is broken, and nothing is left untested for want of a kernel', async () => {
  const present = PLUGINS.filter(name => existsSync(join(bin, name)))
  assert.ok(bin !== '' && present.includes('vlan'), 'PATCHBAY_BIN_DIR names a directory of plugins')
  const parts = ['--part', 'protocol', '--part', 'behaviour']
  const argv = [
    '--plugin-dir',
    bin,
    ...parts,
    ...only.flatMap(id => ['--only', id]),
    '--quiet',
    ...present.flatMap(name => ['--plugin', name])
  ]
  const report = await runSuite(readOptions(argv), argv)
  const [set] = report.sets
  assert.ok(set !== undefined)
  const lacking = set.results.filter(({ why }) => why.includes('kernel'))
  assert.equal([...new Set(lacking.map(({ plugin }) => plugin))], [])
  const broken = findingsOf(report, set).filter(({ level }) => level === 'MUST')
  assert.equal(
    broken.map(({ result, finding }) => `${result.plugin} ${result.caseId}: ${finding.expected}; seen ${finding.seen}`),
    []
  )
})

test.run()
