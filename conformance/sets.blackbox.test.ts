// time-out: 600 s
// needs: ip bridge tc nft jq setpriv
/** Plugin sets of others: a plugin written in shell, one that never works, one that hangs in no case at all. */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { exitStatus } from './exit-status.ts'
import { runSuite } from './main.ts'
import { ODD_PLUGINS } from './odd-plugins.ts'
import { readOptions } from './options.ts'
import { findingsOf, type Report } from './report.ts'
import { textReport } from './report-text.ts'

const test = suite('conformance/sets')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''

/** A plugin that makes its own configuration for others, as flannel does, in the plainest shell. */
const SHELL_PLUGIN = `#!/bin/sh
here=$(dirname "$0")
input=$(cat /dev/stdin)
[ "$CNI_COMMAND" = VERSION ] && { printf %s "$input" | "$here/bridge"; exit; }
ipam='"ipam":{"type":"host-local","ranges":[[{"subnet":"10.44.0.0/24"}]]}'
printf %s "$input" | sed 's|"type":"shellnet"|"type":"bridge","bridge":"sh0",'"$ipam|" | "$here/bridge"
`

async function judged(folder: string, profile: object, ...argv: readonly string[]): Promise<Report> {
  const path = join(folder, 'profile.json')
  writeFileSync(path, JSON.stringify(profile))
  const all = ['--plugin-dir', folder, '--config', path, '--quiet', ...argv]
  return runSuite(readOptions(all), all)
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  assert.ok(existsSync(join(bin, 'bridge')), 'PATCHBAY_BIN_DIR names a directory of plugins')
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-sets-'))
  try {
    for (const name of ['bridge', 'host-local']) symlinkSync(join(bin, name), join(folder, name))
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('a plugin in shell that hands its work on to others breaks no MUST, and its own cases are run', () =>
  inFolder(async folder => {
    const path = join(folder, 'shellnet')
    writeFileSync(path, SHELL_PLUGIN)
    chmodSync(path, 0o755)
    const steps = [
      { verb: 'ADD' },
      { host: 'ip link show sh0' },
      { container: 'ip -o address show dev eth0 | grep -q 10.44' }
    ]
    const profile = {
      type: 'shellnet',
      role: 'meta',
      prepare: ['mkdir -p /run/shellnet'],
      cases: [{ id: 'bridge', steps }]
    }
    const report = await judged(folder, profile, '--plugin', 'shellnet')
    const [set] = report.sets
    assert.ok(set !== undefined)
    const broken = findingsOf(report, set).filter(({ level }) => level === 'MUST')
    assert.equal(
      broken.map(({ result, finding }) => `${result.caseId}: ${finding.expected}; seen ${finding.seen}`),
      []
    )
    assert.ok(set.results.filter(({ verdict }) => verdict === 'passed').length > 25, 'many cases were run')
    assert.ok(set.results.some(one => one.caseId === 'own.shellnet.bridge' && one.verdict === 'passed'))
    assert.is(exitStatus(report), 0)
  }))

for (const { type, habits, profile, script } of ODD_PLUGINS)
  test(`sound and odd, nothing is held against it: ${habits}`, () =>
    inFolder(async folder => {
      writeFileSync(join(folder, type), `#!/bin/sh\n${script(bin)}`)
      chmodSync(join(folder, type), 0o755)
      const report = await judged(folder, profile, '--plugin', type)
      const [set] = report.sets
      assert.ok(set !== undefined)
      assert.equal(
        findingsOf(report, set).map(
          ({ level, result, finding }) => `${level} ${result.caseId}: ${finding.expected}; ${finding.seen}`
        ),
        []
      )
      const passed = set.results.filter(({ verdict }) => verdict === 'passed').length
      assert.ok(passed > set.results.length / 2, `${passed} of ${set.results.length} cases passed`)
    }))

test('somebody who is not root gets the same verdicts, in a namespace of users', () => {
  // Where the project's folder is may be closed to others.
  const shown = 'mount --bind "$0" /mnt && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'
  const root = join(import.meta.dirname, '..')
  const node = process.execPath.replace(root, '/mnt')
  const plugins = ['--plugin-dir', bin.replace(root, '/mnt'), '--plugin', 'host-local', '--plugin', 'bridge']
  const suiteCall = [node, '--no-warnings', '/mnt/conformance/main.ts', ...plugins, '--only', 'del.', '--quiet']
  const own = ['--mount', '--propagation', 'private', 'sh', '-c', shown, root]
  const child = spawnSync('unshare', [...own, ...suiteCall], { encoding: 'utf8', cwd: '/' })
  assert.match(child.stdout, /all MUSTs that could be tried hold/)
  assert.match(child.stdout, /cases: \d\d passed, 0 failed, 0 not testable here, 0 blocked/)
  assert.is(child.status, 0)
})

test('a plugin whose ADD never works gets one finding, and nothing else is held against it', () =>
  inFolder(async folder => {
    copyFileSync('/bin/false', join(folder, 'never'))
    const report = await judged(folder, { type: 'never', ipam: {} }, '--plugin', 'never')
    const [set] = report.sets
    assert.ok(set !== undefined)
    assert.equal(
      findingsOf(report, set).map(({ finding }) => finding.clause),
      ['add.works']
    )
    const others = set.results.filter(({ caseId }) => caseId !== 'add-works')
    assert.ok(others.length > 40 && others.every(({ verdict }) => verdict === 'blocked'))
    assert.match(textReport(report), /ADD never worked, nothing else was judged: never/)
    assert.is(exitStatus(report), 1)
  }))

test.run()
