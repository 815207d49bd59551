import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { readOptions, USAGE } from './options.ts'
import { plan } from './plan.ts'
import { Random } from './random.ts'
import { resultIn } from './result-form.ts'
import { readWaivers } from './waivers.ts'

const test = suite('conformance/options')

test('readOptions: names of plugin sets are given or taken from the folder', () => {
  const { sets } = readOptions(['--plugin-dir', '/usr', '--plugin-dir', 'mine=/tmp', '--reference', '/etc'])
  assert.equal(
    sets.map(({ name, dir, isReference }) => [name, dir, isReference]),
    [
      ['usr', '/usr', false],
      ['mine', '/tmp', false],
      ['reference', '/etc', true]
    ]
  )
})

test('readOptions: refuses what it cannot use, naming the option', () => {
  throwsLike(() => readOptions(['--plugin-dir', '/not/there']), { message: /--plugin-dir: there is no directory/ })
  throwsLike(() => readOptions(['--part', 'all']), { message: /--part: one of protocol/ })
  throwsLike(() => readOptions(['--skip', 'one']), { message: /--skip: ID=REASON/ })
  throwsLike(() => readOptions(['--jobs', '0']), { message: /--jobs: a whole number/ })
  throwsLike(() => readOptions(['--frob']), { message: /frob/ })
})

test('readOptions: an effort for all plugin sets, another for one of them', () => {
  const argv = ['--plugin-dir', 'a=/usr', '--plugin-dir', 'b=/tmp', '--effort', 'full', '--effort', 'b=0.2']
  assert.equal(
    readOptions(argv).sets.map(({ effort }) => effort),
    [1, 0.2]
  )
  assert.is(readOptions(['--plugin-dir', '/usr']).sets[0]?.effort, 0.05)
  throwsLike(() => readOptions(['--effort', 'b=much']), { message: /--effort: quick, full or a fraction/ })
})

test('readOptions: a configuration of an unknown plugin becomes a profile, by its ipam of one role or the other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-options-'))
  try {
    const path = join(folder, 'mine.json')
    writeFileSync(path, '{"type":"mine","name":"x","key":1,"ipam":{"type":"any"}}')
    const [profile] = readOptions(['--config', path]).profiles
    assert.equal([profile?.type, profile?.role, profile?.config], ['mine', 'interface', { key: 1 }])
    writeFileSync(path, '{"type":"mine"}')
    assert.is(readOptions(['--config', path]).profiles[0]?.role, 'chained')
    writeFileSync(path, '{}')
    throwsLike(() => readOptions(['--config', path]), { message: /key type/ })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** A profile read from this text. */
function profileOf(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-options-'))
  try {
    const path = join(folder, 'mine.json')
    writeFileSync(path, text)
    return readOptions(['--config', path])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('readOptions: a profile of an unknown plugin, with what it needs around it and cases of its own', () => {
  const steps = [{ verb: 'ADD' }, { container: 'ip link show eth0' }]
  const { profiles, standards } = profileOf(
    JSON.stringify({
      type: 'flannel',
      role: 'meta',
      config: { subnetFile: '/run/flannel/subnet.env' },
      prepare: ['mkdir -p /run/flannel'],
      needsKernel: 'bridge',
      cases: ['own.sh', { id: 'twice', steps }]
    })
  )
  const [profile] = profiles
  assert.equal(
    [profile?.role, profile?.kernelKind, profile?.prepareCommands],
    ['meta', 'bridge', ['mkdir -p /run/flannel']]
  )
  assert.equal(
    profile?.ownCases?.map(({ id }) => id),
    ['own.sh', 'twice']
  )
  assert.equal(standards, ['spec-1.1', 'own'])
})

test('readOptions: a profile says which key is wrong', () => {
  throwsLike(() => profileOf('{"type":"x","role":"boss"}'), { message: /role: one of interface, chained/ })
  throwsLike(() => profileOf('{"type":"x","role":"meta","prepare":"ls"}'), {
    message: /prepare: a list of shell lines/
  })
  throwsLike(() => profileOf('{"type":"x","role":"meta","frob":1}'), { message: /unknown key frob/ })
})

test('readOptions: what is judged by, when nothing is said and when something is', () => {
  const standards = (...argv: readonly string[]) => readOptions(argv).standards
  assert.equal(standards(), ['spec-1.1'])
  assert.equal(standards('--profile', 'spec-0.4,robustness'), ['spec-0.4', 'robustness'])
  assert.ok(standards('--part', 'behaviour').includes('reference-keys'), 'a part is judged whatever it stands in')
  throwsLike(() => standards('--profile', 'spec-1.2'), {
    message: /there is no spec-1.2 \(did you mean spec-1.[01]\?\)/
  })
})

test('plan: a word that chooses nothing is refused, with the nearest that would choose something', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-plan-'))
  try {
    const planned = (...argv: readonly string[]) => plan(readOptions(['--plugin-dir', folder, ...argv]))
    throwsLike(() => planned(), { message: /no plugin to judge: it is empty/ })
    writeFileSync(join(folder, 'bridge'), '')
    throwsLike(() => planned('--plugin', 'brigde'), { message: /not in .* \(did you mean bridge\?\)/ })
    throwsLike(() => planned('--only', 'del-usul'), { message: /--only del-usul: .*\(did you mean del-usual\?\)/ })
    throwsLike(() => planned('--skip', 'del-usul=why'), { message: /--skip del-usul: .*\(did you mean del-usual\?\)/ })
    writeFileSync(join(folder, 'mine'), '')
    throwsLike(() => planned('--plugin', 'mine'), { message: /no configuration for it/ })
    const { jobs, skipped } = planned('--only', 'del-usual', '--skip', 'del-usual=known')
    assert.equal([jobs.map(({ job }) => job.caseId), skipped.length], [['add-works'], 1])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('readWaivers: each has a reason and an end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-waivers-'))
  try {
    const path = join(folder, 'w.json')
    const read = (value: unknown) => {
      writeFileSync(path, JSON.stringify(value))
      return readWaivers(path)
    }
    const one = { clause: 'version.echo', reason: 'issue 12', until: '2027-01-31' }
    assert.equal(read([one]), [one])
    throwsLike(() => read([{ ...one, until: 'soon' }]), { message: /entry 1: until/ })
    throwsLike(() => read([{ ...one, reason: '' }]), { message: /entry 1: a reason/ })
    throwsLike(() => read({}), { message: /a JSON list/ })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('resultIn: the three forms of the specification', () => {
  const parts = {
    interfaces: [{ name: 'eth0' }],
    ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 }, { address: 'fd00::2/64' }],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    dns: {}
  }
  // SPEC 0.2.0, Result: ip4, ip6 with their routes.
  assert.equal(resultIn('0.2.0', parts), {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
    ip6: { ip: 'fd00::2/64', gateway: undefined, routes: [{ dst: '::/0' }] },
    dns: {}
  })
  // SPEC 0.4.0, Result: ips with version.
  assert.equal(resultIn('0.4.0', parts)['ips'], [
    { version: '4', address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 0 },
    { version: '6', address: 'fd00::2/64' }
  ])
  // SPEC 1.0.0, Success: without version.
  assert.equal(resultIn('1.0.0', parts)['ips'], parts.ips)
})

test('Random: the same seed, the same numbers; another, others', () => {
  const draw = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 20 }, () => random.below(100))
  }
  assert.equal(draw(7), draw(7))
  assert.not.equal(draw(7), draw(8))
  assert.ok(draw(7).every(value => value >= 0 && value < 100))
})

test('the action calls the suite by options that there are, with the programs that it needs', () => {
  const folder = join(import.meta.dirname, 'action')
  const action: { readonly runs: { readonly steps: readonly { readonly run: string }[] } } = parse(
    readFileSync(join(folder, 'action.yml'), 'utf8')
  )
  const [install = '', judge = ''] = action.runs.steps.map(({ run }) => run)
  const options: readonly string[] = judge.slice(judge.indexOf('main.ts')).match(/--[a-z-]+/g) ?? []
  assert.ok(options.includes('--plugin-dir'))
  for (const option of options) assert.ok(USAGE.includes(`${option} `), option)
  const image = readFileSync(join(folder, 'Containerfile'), 'utf8')
  for (const name of ['iproute2', 'nftables', 'strace']) assert.ok(install.includes(name) && image.includes(name), name)
})

test.run()
