/** The report as JUnit XML, which most CI systems show. */
import type { Report } from './report.ts'

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?')
}

export function junitReport(report: Report): string {
  const suites = report.sets.flatMap(set =>
    set.plugins.map(plugin => {
      const results = set.results.filter(result => result.plugin === plugin)
      const count = (verdict: string) => results.filter(result => result.verdict === verdict).length
      const cases = results.map(result => {
        const name = `name="${escaped(result.caseId)}" classname="${escaped(`${set.name}.${plugin}`)}"`
        const open = `    <testcase ${name} time="${(result.milliseconds / 1000).toFixed(3)}"`
        if (result.verdict === 'passed') return `${open}/>`
        if (result.verdict !== 'failed') return `${open}><skipped message="${escaped(result.why)}"/></testcase>`
        const text = result.findings.map(one =>
          [`clause ${one.clause}`, `expected ${one.expected}`, `seen ${one.seen}`, `repeat ${one.call}`].join('\n')
        )
        const message = escaped(result.findings[0]?.expected ?? '')
        return `${open}><failure message="${message}">${escaped(text.join('\n\n'))}</failure></testcase>`
      })
      const skipped = count('skipped') + count('not testable')
      const head = `name="${escaped(`${set.name} ${plugin}`)}" tests="${results.length}" failures="${count('failed')}" skipped="${skipped}"`
      return [`  <testsuite ${head}>`, ...cases, '  </testsuite>'].join('\n')
    })
  )
  return ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>', ...suites, '</testsuites>', ''].join('\n')
}
