/** The report in the Common Test Report Format (ctrf.io), which dashboards of many test runners read. */
import { findingsOf, type Report, type SetReport } from './report.ts'
import type { CaseResult, Verdict } from './run-case.ts'

const STATUS: Readonly<Record<Verdict, string>> = {
  passed: 'passed',
  failed: 'failed',
  'not testable': 'skipped',
  skipped: 'skipped',
  blocked: 'other',
  error: 'other'
}

/** Broken SHOULDs and waived findings alone are no failure. */
function statusOf(report: Report, set: SetReport, result: CaseResult): string {
  if (result.verdict !== 'failed') return STATUS[result.verdict]
  const grave = findingsOf(report, { ...set, results: [result] }).some(
    ({ level, finding }) => level === 'MUST' && finding.waived === undefined
  )
  return grave ? 'failed' : 'other'
}

export function ctrfReport(report: Report): string {
  const tests = report.sets.flatMap(set =>
    set.results.map(result => ({
      name: result.caseId,
      status: statusOf(report, set, result),
      duration: Math.round(result.milliseconds),
      suite: [set.name, result.plugin],
      ...(result.findings.length === 0
        ? result.why === ''
          ? {}
          : { message: result.why }
        : { message: result.findings.map(one => `${one.clause}: ${one.expected}; seen ${one.seen}`).join('\n') })
    }))
  )
  const count = (status: string) => tests.filter(test => test.status === status).length
  const summary = {
    tests: tests.length,
    passed: count('passed'),
    failed: count('failed'),
    pending: 0,
    skipped: count('skipped'),
    other: count('other'),
    start: Date.parse(report.date),
    stop: Date.parse(report.date) + Math.round(report.seconds * 1000)
  }
  const tool = { name: 'patchbay conformance', version: report.suite }
  const environment = { osRelease: report.kernel, extra: { standards: report.standards, spec: report.spec } }
  return `${JSON.stringify({ reportFormat: 'CTRF', specVersion: '0.0.0', results: { tool, summary, tests, environment } }, null, 1)}\n`
}
