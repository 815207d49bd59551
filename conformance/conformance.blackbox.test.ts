// time-out: 600 s
// needs: ip bridge tc nft strace iptables
/** The protocol part of the suite on the built plugins: a fast choice of them, one of each role. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { runSuite } from './main.ts'
import { readOptions } from './options.ts'
import { findingsOf } from './report.ts'

const test = suite('conformance/protocol')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''
const PLUGINS = ['bridge', 'host-local', 'tuning']

test('no MUST of the protocol is broken', async () => {
  const present = PLUGINS.filter(name => existsSync(join(bin, name)))
  assert.ok(bin !== '' && present.includes('bridge'), 'PATCHBAY_BIN_DIR names a directory of plugins')
  const argv = ['--plugin-dir', bin, '--part', 'protocol', '--quiet', ...present.flatMap(name => ['--plugin', name])]
  const report = await runSuite(readOptions(argv), argv)
  const [set] = report.sets
  assert.ok(set !== undefined && set.results.length > 100, 'the cases were run')
  const broken = findingsOf(report, set).filter(({ level }) => level === 'MUST')
  assert.equal(
    broken.map(({ result, finding }) => `${result.plugin} ${result.caseId}: ${finding.expected}; seen ${finding.seen}`),
    []
  )
})

test('a program of the container answers in the place of the kernel: an overlay, too, hears the kernel alone', async () => {
  const argv = ['--plugin-dir', bin, '--plugin', 'vxlan', '--only', 'fault-forged-netlink', '--quiet']
  const report = await runSuite(readOptions(argv), argv)
  const [set] = report.sets
  assert.equal(
    set?.results.map(one => [one.plugin, one.caseId, one.verdict]),
    [['vxlan', 'fault-forged-netlink', 'passed']]
  )
})

test.run()
