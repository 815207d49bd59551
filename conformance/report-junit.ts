/**
 * The report as JUnit XML, which most CI systems show. A case in which only SHOULDs are broken is no failure, as the
 * exit status is 0: what was found stands in its properties and output.
 */
import { findingsOf, type Report, type SetReport } from './report.ts'
import type { CaseResult } from './run-case.ts'

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?')
}

interface JunitCase {
  readonly xml: string
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'error'
}

function junitCase(report: Report, set: SetReport, result: CaseResult): JunitCase {
  const name = `name="${escaped(result.caseId)}" classname="${escaped(`${set.name}.${result.plugin}`)}"`
  const open = `    <testcase ${name} time="${(result.milliseconds / 1000).toFixed(3)}"`
  if (result.verdict === 'passed') return { xml: `${open}/>`, outcome: 'passed' }
  if (result.verdict === 'error') {
    return { xml: `${open}><error message="${escaped(result.why)}"/></testcase>`, outcome: 'error' }
  }
  if (result.verdict !== 'failed') {
    const why = escaped(`${result.verdict}: ${result.why}`)
    return { xml: `${open}><skipped message="${why}"/></testcase>`, outcome: 'skipped' }
  }
  const found = findingsOf(report, { ...set, results: [result] })
  const properties = found.map(({ level, finding }) => `<property name="${level}" value="${escaped(finding.clause)}"/>`)
  const text = found.map(({ level, finding }) =>
    [
      `${level} ${finding.clause}`,
      `expected ${finding.expected}`,
      `seen ${finding.seen}`,
      `call ${finding.call}`,
      ...(finding.waived === undefined ? [] : [`waived ${finding.waived}`])
    ].join('\n')
  )
  const head = `${open}><properties>${properties.join('')}</properties>`
  const grave = found.filter(({ level, finding }) => level === 'MUST' && finding.waived === undefined)
  const body = escaped(text.join('\n\n'))
  if (grave.length === 0) return { xml: `${head}<system-out>${body}</system-out></testcase>`, outcome: 'passed' }
  const message = escaped(grave[0]?.finding.expected ?? '')
  return { xml: `${head}<failure message="${message}" type="MUST">${body}</failure></testcase>`, outcome: 'failed' }
}

export function junitReport(report: Report): string {
  const suites = report.sets.flatMap(set =>
    set.plugins.map(plugin => {
      const results = set.results.filter(result => result.plugin === plugin)
      const cases = results.map(result => junitCase(report, set, result))
      const count = (outcome: string) => cases.filter(one => one.outcome === outcome).length
      const counts = `tests="${cases.length}" failures="${count('failed')}" errors="${count('error')}" skipped="${count('skipped')}"`
      const head = `name="${escaped(`${set.name} ${plugin}`)}" ${counts}`
      return [`  <testsuite ${head}>`, ...cases.map(({ xml }) => xml), '  </testsuite>'].join('\n')
    })
  )
  return ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>', ...suites, '</testsuites>', ''].join('\n')
}
