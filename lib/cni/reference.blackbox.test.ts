// needs: reference-plugins
/** The same wrong call to the reference loopback plugin and to ours: the same exit status and the same code. */
import { callPlugin, ENGINE } from '../testing/blackbox.ts'
import { callEnv } from '../testing/memory-io.ts'
import { withNamespaces } from '../testing/namespace.ts'
import { assert, suite } from '../testing/suite.ts'

const test = suite(`lib/cni/reference ${ENGINE}`)

const REFERENCE = '/usr/lib/cni'
const VERBS: readonly string[] = ['ADD', 'CHECK', 'DEL']

interface Case {
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string | object
}

/** Exit status and error code, of ours or of the reference. */
function outcome(one: Case, directory?: string): string {
  const answer = callPlugin('loopback', directory === undefined ? one : { ...one, directory })
  const code = answer.stdout === '' ? '' : JSON.parse(answer.stdout).code
  return `status ${String(answer.status)} code ${String(code ?? 'none')}`
}

function compare(cases: readonly Case[]): void {
  for (const one of cases) assert.is(outcome(one), outcome(one, REFERENCE), JSON.stringify(one))
}

test('variables that are missing or wrong', () => {
  const stdin = { cniVersion: '1.0.0', name: 'blue', type: 'loopback' }
  const cases: Case[] = []
  for (const verb of VERBS) {
    for (const name of ['CNI_CONTAINERID', 'CNI_IFNAME']) cases.push({ env: callEnv(verb, { [name]: '' }), stdin })
    for (const bad of ['../c', '-c', 'a b', 'a/b']) cases.push({ env: callEnv(verb, { CNI_CONTAINERID: bad }), stdin })
    for (const bad of ['0123456789abcdef', '.', '..', 'a/b', 'a:b', 'a b']) {
      cases.push({ env: callEnv(verb, { CNI_IFNAME: bad }), stdin })
    }
  }
  for (const verb of ['ADD', 'CHECK']) cases.push({ env: callEnv(verb, { CNI_NETNS: '' }), stdin })
  cases.push({ env: callEnv('UPDATE'), stdin }, { env: callEnv('add'), stdin })
  compare(cases)
})

test('configurations that are none, nameless, or of a version nobody knows', () => {
  const texts: (string | object)[] = ['', '{', 'x', '[]', '{"cniVersion":"1.0.0"}']
  for (const name of ['', '../x', 'a b', '.a', '-a', 'a/b']) texts.push({ cniVersion: '1.0.0', name, type: 'loopback' })
  for (const version of ['2.0.0', '0.5.0', '99.0.0', 'newest', 'v1.0.0']) {
    texts.push({ cniVersion: version, name: 'blue', type: 'loopback' })
  }
  // Not a damaged prevResult: the reference has no code for it (999), we have 6.
  texts.push({ cniVersion: 1, name: 'blue' })
  compare(VERBS.slice(0, 2).flatMap(verb => texts.map(stdin => ({ env: callEnv(verb), stdin }))))
})

test('CHECK in versions that lack it', () => {
  const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', 'bogus']
  compare(
    versions.map(cniVersion => ({ env: callEnv('CHECK'), stdin: { cniVersion, name: 'blue', type: 'loopback' } }))
  )
})

test('keys in any case; DEL of what is gone, repeated', () => {
  withNamespaces(1, box => {
    const stdin = '{"CNIVersion":"0.4.0","NAME":"blue","Type":"loopback"}'
    const cases: Case[] = []
    for (const verb of ['ADD', 'ADD', 'DEL', 'DEL']) cases.push({ env: callEnv(verb, { CNI_NETNS: box.path }), stdin })
    cases.push({ env: callEnv('DEL'), stdin }, { env: callEnv('DEL', { CNI_NETNS: '' }), stdin })
    compare(cases)
  })
})

test('without variables both show a banner that begins alike', () => {
  const [ours, theirs] = [callPlugin('loopback', {}), callPlugin('loopback', { directory: REFERENCE })]
  assert.equal([ours.status, ours.stdout], [theirs.status, theirs.stdout])
  const start = (text: string) => text.split('\n').map(line => line.split(/ version | v[0-9]|: /)[0])
  assert.equal(start(ours.stderr).slice(0, 2), start(theirs.stderr).slice(0, 2))
})

test.run()
