/** What the pages of the scoreboard have in common. */
import type { Finding } from './case.ts'
import type { Clause, Level } from './clauses/clause.ts'
import type { ClauseScore, Report } from './report.ts'
import { SCOREBOARD_SCRIPT, SCOREBOARD_STYLE } from './report-style.ts'

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** An id of the page: letters, digits and hyphens. */
export function anchor(...parts: readonly string[]): string {
  return parts.join('-').replaceAll(/[^A-Za-z0-9-]/g, '-')
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

export const CLASS: Readonly<Record<Level, string>> = { MUST: 'no', SHOULD: 'meh', CUSTOM: 'meh' }

/** A link into the text, or the words alone where there is none on the web. */
export function sectionLink(clause: Clause): string {
  const words = escaped(clause.section)
  if (!clause.link.startsWith('https://')) return `<span class="soft">${words}</span>`
  return `<a class="where" href="${escaped(clause.link)}">${words}</a>`
}

/** How much a clause binds, with the versions in which that changed. */
export function forceText(clause: Clause): string {
  if (clause.force.length < 2) return clause.since === '0.1.0' ? '' : `since ${clause.since}`
  return clause.force.map(([version, level]) => `${level ?? 'nothing'} since ${version}`).join(', ')
}

/** The words for what a set makes of a clause; the reason stands in them when nothing could be tried. */
export function scoreCell(clause: Clause, score: ClauseScore, setName: string): string {
  const all = score.held + score.broken
  if (all === 0) {
    const why = score.untestable.length === 0 ? 'not asked of any of its plugins' : score.untestable.join('; ')
    return `<td class="score none" data-state="untried">not tried<small class="why">${escaped(why)}</small></td>`
  }
  if (score.broken === 0) return `<td class="score ok" data-state="held">holds <small>for ${all}</small></td>`
  const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))].join(', ')
  const level = score.brokenAs ?? clause.level
  const link = `<a href="#${anchor('f', setName, clause.id)}">broken</a>`
  return `<td class="score ${CLASS[level]}" data-state="broken">${link} <small>by ${score.broken} of ${all}: ${escaped(plugins)}</small></td>`
}

/** What was expected and not seen, of one plugin on one clause: the first cases in full, one call to repeat. */
export function findingHtml(
  plugin: string,
  findings: readonly { readonly caseId: string; readonly finding: Finding }[]
): string {
  const seen = new Set<string>()
  const different = findings.filter(({ finding }) => {
    // The same thing found again, with another name or number in it, is told once.
    const key = finding.expected.replaceAll(/[0-9]+/g, '0')
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
  const shown = different.slice(0, 3)
  const more = findings.length - shown.length
  const rows = shown.map(
    ({ finding }) =>
      `<dt>expected</dt><dd>${escaped(finding.expected)}</dd><dt>seen</dt><dd>${escaped(finding.seen.slice(0, 700))}</dd>` +
      (finding.waived === undefined ? '' : `<dt>waived</dt><dd>${escaped(finding.waived)}</dd>`)
  )
  const call = findings.find(({ finding }) => finding.call !== '')?.finding.call ?? ''
  const cases = [...new Set(findings.map(({ caseId }) => caseId))]
  const repeat = `patchbay conformance --plugin-dir DIR --plugin ${plugin} --shell ${cases[0] ?? ''}`
  const calls = [`# ${repeat}`, ...(call === '' ? [] : [call.slice(0, 3000)])].join('\n')
  return (
    `<div class="finding"><b>${escaped(plugin)}</b> <code class="id">${escaped(cases.join(', '))}</code>` +
    `<dl>${rows.join('')}</dl>${more > 0 ? `<p class="soft">and ${more} more of this kind</p>` : ''}` +
    `<details><summary class="soft">repeat it</summary><pre tabindex="0">${escaped(calls)}</pre></details></div>`
  )
}

export function metaText(report: Report): string {
  const spec = `https://github.com/containernetworking/cni/tree/${report.spec.commit}`
  const minutes = Math.max(1, Math.round(report.seconds / 60))
  return (
    `${escaped(report.date)}, ${escaped(report.kernel)}, suite ${escaped(report.suite)}, random seed ${report.seed}, ` +
    `${count(minutes, 'minute')}; specification <a href="${spec}">${escaped(report.spec.tag)}</a>; ` +
    `made by <code>${escaped(report.command)}</code>`
  )
}

export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title><style>${SCOREBOARD_STYLE}</style></head><body><main>
${body}
</main><script>${SCOREBOARD_SCRIPT}</script></body></html>
`
}

/** A table that scrolls sideways on a narrow screen, by keyboard too. */
export function scrolling(label: string, table: string): string {
  return `<div class="wide" role="region" aria-label="${escaped(label)}" tabindex="0">${table}</div>`
}
