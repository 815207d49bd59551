import { assert, suite } from '../lib/testing/suite.ts'
import type { Finding } from './case.ts'
import { type Clause, SPEC_REVISION, spec } from './clauses/clause.ts'
import { exitStatus } from './exit-status.ts'
import { countBrokenMusts, mergedReport, type Report, scoreOf } from './report.ts'
import { badge } from './report-badge.ts'
import { ctrfReport } from './report-ctrf.ts'
import { htmlReport } from './report-html.ts'
import { pluginPage } from './report-html-plugin.ts'
import { junitReport } from './report-junit.ts'
import { setPage } from './report-markdown.ts'
import { textReport } from './report-text.ts'
import type { CaseResult } from './run-case.ts'
import { judgedBy } from './standards.ts'
import { withWaivers } from './waivers.ts'

const test = suite('conformance/report')

const must = spec('a.must', 'MUST', ['ADD', 1], 'It must.')
const should = spec('a.should', 'SHOULD', ['ADD', 2], 'It should.')
/** MUST up to 0.4.0, SHOULD from 1.0.0 on. */
const both: Clause = spec(
  'a.both',
  [
    ['0.1.0', 'MUST'],
    ['1.0.0', 'SHOULD']
  ],
  ['ADD', 3],
  'It depends.'
)

function finding(clause: string): Finding {
  return { clause, expected: 'x < 1 & "y"', seen: 'exit 0\u0001', call: "printf %s '{}' | env -i /p" }
}

function result(plugin: string, findings: readonly Finding[], more: Partial<CaseResult> = {}): CaseResult {
  const verdict = findings.length > 0 ? 'failed' : 'passed'
  return { caseId: 'one', plugin, verdict, why: '', findings, judged: [must.id, should.id], milliseconds: 5, ...more }
}

function report(results: readonly CaseResult[], isReference = false): Report {
  return {
    schema: 'x',
    suite: '1.0.0',
    spec: SPEC_REVISION,
    standards: ['spec-1.1'],
    date: '2026-01-01',
    kernel: 'Linux 6',
    command: 'patchbay conformance --plugin-dir x',
    seed: 7,
    seconds: 1,
    clauses: [must, should, both],
    cases: [{ id: 'one', title: 'One', part: 'protocol', clauses: [must.id, should.id] }],
    sets: [{ name: 'x', dir: '/x', isReference, plugins: ['p', 'q'], notJudged: ['r'], results }]
  }
}

test('scoreOf: a plugin with one finding does not count as holding', () => {
  const whole = report([result('p', []), result('p', [finding(must.id)]), result('q', [])])
  const [set] = whole.sets
  assert.ok(set)
  const score = scoreOf(whole, set, must.id)
  assert.equal([score.held, score.broken, score.findings.length], [1, 1, 1])
  assert.equal(scoreOf(whole, set, should.id).held, 2)
})

test('scoreOf: tells why a clause was not tried', () => {
  const whole = report([result('p', [], { verdict: 'not testable', why: 'no such kernel', judged: [] })])
  const [set] = whole.sets
  assert.ok(set)
  assert.equal(scoreOf(whole, set, must.id).untestable, ['p: no such kernel'])
})

test('countBrokenMusts: SHOULDs and the reference do not decide', () => {
  assert.is(countBrokenMusts(report([result('p', [finding(should.id)])])), 0)
  assert.is(countBrokenMusts(report([result('p', [finding(must.id)])])), 1)
  assert.is(countBrokenMusts(report([result('p', [finding(must.id)])], true)), 0)
})

test('countBrokenMusts: a finding about an unknown clause counts', () => {
  assert.is(countBrokenMusts(report([result('p', [finding('nowhere')])])), 1)
})

test('countBrokenMusts: a clause binds as the version says in which the plugin was called', () => {
  assert.is(countBrokenMusts(report([result('p', [finding(both.id)], { version: '0.4.0' })])), 1)
  assert.is(countBrokenMusts(report([result('p', [finding(both.id)], { version: '1.0.0' })])), 0)
})

test('countBrokenMusts: a waived finding does not decide', () => {
  const waivers = [{ clause: must.id, plugin: 'p', reason: 'issue 12', until: '2026-06-30' }]
  const one = result('p', [finding(must.id)])
  assert.is(countBrokenMusts(report([withWaivers(one, waivers, '2026-06-30')])), 0)
  assert.is(countBrokenMusts(report([withWaivers(one, waivers, '2026-07-01')])), 1, 'it has ended')
  assert.is(countBrokenMusts(report([withWaivers({ ...one, plugin: 'q' }, waivers, '2026-06-30')])), 1)
})

test('exitStatus: 0 when all MUSTs hold, 1 when one is broken, 2 when there is no verdict', () => {
  assert.is(exitStatus(report([result('p', [finding(should.id)])])), 0)
  assert.is(exitStatus(report([result('p', [finding(must.id)])])), 1)
  assert.is(exitStatus(report([])), 2)
  assert.is(exitStatus(report([result('p', [], { verdict: 'not testable', judged: [] })])), 2)
  assert.is(exitStatus(report([result('p', []), result('q', [], { verdict: 'error', judged: [] })])), 2)
})

test('judgedBy: what other standards say of a case is left out, and what the version does not know', () => {
  const found = result('p', [finding(must.id), finding('elsewhere')])
  assert.equal(
    judgedBy(found, [must]).findings.map(({ clause }) => clause),
    [must.id]
  )
  assert.is(judgedBy(result('p', [finding('elsewhere')]), [must]).verdict, 'passed')
  const late = spec('a.late', [['1.1.0', 'MUST']], ['ADD', 4], 'It must now.')
  assert.equal(judgedBy(result('p', [finding(late.id)], { version: '1.0.0' }), [late]).findings, [])
})

test('junitReport: a case with nothing but broken SHOULDs is no failure, and names them', () => {
  const xml = junitReport(report([result('p', [finding(should.id)])]))
  assert.match(xml, /failures="0"/)
  assert.match(xml, /<property name="SHOULD" value="a\.should"\/>/)
})

test('ctrfReport, badge: count by standard', () => {
  const whole = report([result('p', [finding(must.id)]), result('q', [finding(should.id)])])
  const { results } = JSON.parse(ctrfReport(whole))
  assert.equal([results.summary.failed, results.summary.other], [1, 1])
  const made = JSON.parse(badge(whole))
  assert.equal([made.label, made.message, made.color], ['CNI spec-1.1', '0/1 MUST, 0/1 SHOULD', 'red'])
})

test('textReport: names clause, expected, seen and call', () => {
  const text = textReport(report([result('p', [finding(must.id)])]))
  for (const part of [
    'MUST a.must (SPEC ADD, since 0.1.0)',
    'x < 1 & "y"',
    'exit 0',
    'env -i /p',
    '1 findings break'
  ]) {
    assert.ok(text.includes(part), part)
  }
})

test('junitReport: is well-formed for what plugins may print', () => {
  const xml = junitReport(
    report([result('p', [finding(must.id)]), result('q', [], { verdict: 'skipped', why: 'a<b' })])
  )
  assert.match(xml, /<failure message="x &lt; 1 &amp; &quot;y&quot;" type="MUST">/)
  assert.match(xml, /<skipped message="skipped: a&lt;b"\/>/)
  assert.not.match(xml, /\u0001/)
})

test('htmlReport: escapes what plugins printed, links the broken clause to its finding and to the text', () => {
  const html = htmlReport(report([result('p', [finding(must.id)]), result('q', [])]))
  assert.match(html, /class="score no" data-state="broken"><a href="#f-x-a-must">broken<\/a> <small>by 1 of 2: p</)
  assert.ok(html.includes('x &lt; 1 &amp; &quot;y&quot;'))
  assert.match(html, /href="https:\/\/github.com\/containernetworking\/cni\/blob\/spec-v1.1.0\/SPEC.md#add-add-/)
})

test('htmlReport: why a clause was not tried stands in the page', () => {
  const html = htmlReport(report([result('p', [], { verdict: 'not testable', why: 'no such kernel', judged: [] })]))
  assert.match(html, /not tried<small class="why">p: no such kernel</)
})

test('pluginPage: one plugin with its clauses in every set, and the way back', () => {
  const html = pluginPage(report([result('p', [finding(must.id)]), result('q', [])]), 'p', '../all.html', '/')
  assert.ok(html.includes('href="../all.html"') && html.includes('It must.') && !html.includes('>q<'))
})

test('mergedReport: two runs on one set become one', () => {
  const merged = mergedReport([report([result('p', [])]), report([result('q', [finding(must.id)])])])
  assert.equal(
    merged.sets.map(set => [set.name, set.results.length]),
    [['x', 2]]
  )
  assert.is(merged.seconds, 2)
})

test('mergedReport: what was tested in another kernel replaces what could not be here', () => {
  const here = result('p', [], { verdict: 'not testable', why: 'no such kernel', judged: [] })
  const there = result('p', [], { kernel: 'Linux 7' })
  for (const order of [
    [here, there],
    [there, here]
  ] as const) {
    const merged = mergedReport(order.map(one => report([one])))
    assert.equal(
      merged.sets[0]?.results.map(one => one.verdict),
      ['passed']
    )
  }
})

test('htmlReport: leaves out the folder it was made in', () => {
  const own = { ...finding(must.id), call: '/some/where/dist/bin/p' }
  const html = htmlReport(report([result('p', [own])]), '/some/where')
  assert.ok(html.includes('\ndist/bin/p</pre>'))
})

test('a set has a page for a repository, with its scores, findings and digests', () => {
  const whole = report([result('p', [finding(must.id)]), result('q', [finding(should.id)])])
  const [set] = whole.sets
  assert.ok(set)
  const files = [{ plugin: 'p', version: 'CNI p plugin v1', sha256: 'ab'.repeat(32) }]
  const lines = setPage(whole, { ...set, files }).split('\n')
  assert.ok(lines.includes('| spec-1.1 | 0 of 1 | 0 of 1 |  |'))
  const link = 'https://github.com/containernetworking/cni/blob/spec-v1.1.0/SPEC.md?plain=1#L1'
  assert.ok(lines.includes(`| MUST | It must. \`a.must\` | [SPEC ADD](${link}) | p | p: \`exit 0\u0001\` |`))
  assert.ok(lines.includes(`| p | CNI p plugin v1 | \`${'ab'.repeat(32)}\` |`))
})

test.run()
