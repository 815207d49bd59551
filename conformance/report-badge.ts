/** A badge for a README: the form that shields.io reads from an address (schemaVersion 1). */
import { findingsOf, type Report, standardScores } from './report.ts'

export function badge(report: Report): string {
  const [set] = report.sets
  const [score] = set === undefined ? [] : standardScores(report, set)
  if (set === undefined || score === undefined) throw new Error('make badge: nothing was judged')
  const { tried, broken, standard } = score
  const musts = findingsOf(report, set).some(({ level, finding }) => level === 'MUST' && finding.waived === undefined)
  const color = musts ? 'red' : broken.SHOULD > 0 ? 'yellowgreen' : 'brightgreen'
  const message = `${tried.MUST - broken.MUST}/${tried.MUST} MUST, ${tried.SHOULD - broken.SHOULD}/${tried.SHOULD} SHOULD`
  return `${JSON.stringify({ schemaVersion: 1, label: `CNI ${standard}`, message, color }, null, 1)}\n`
}
