/** The scoreboard's page of one plugin: every clause that it is asked, in each plugin set. */
import type { Clause } from './clauses/clause.ts'
import { pluginScore, type Report, type SetReport, scoreOf, withoutFolder } from './report.ts'
import {
  CLASS,
  count,
  escaped,
  findingHtml,
  forceText,
  metaText,
  page,
  scrolling,
  sectionLink
} from './report-html-parts.ts'
import { clausesOf, STANDARDS } from './standards.ts'

/** The report as if the plugin were the only one. */
function onlyOf(set: SetReport, plugin: string): SetReport {
  return { ...set, plugins: [plugin], results: set.results.filter(result => result.plugin === plugin) }
}

function cell(report: Report, set: SetReport, clause: Clause): string {
  const score = scoreOf(report, set, clause.id)
  if (score.broken > 0)
    return `<td class="score ${CLASS[score.brokenAs ?? clause.level]}" data-state="broken">broken</td>`
  if (score.held > 0) return '<td class="score ok" data-state="held">holds</td>'
  const why = score.untestable.map(text => text.slice(text.indexOf(': ') + 2)).join('; ')
  return `<td class="score none" data-state="untried">not tried<small class="why">${escaped(why)}</small></td>`
}

/** Clauses that a case of this plugin judges or would judge, in one of the sets. */
function asked(report: Report, plugin: string): readonly Clause[] {
  const cases = new Set(
    report.sets.flatMap(set => set.results.filter(one => one.plugin === plugin).map(({ caseId }) => caseId))
  )
  const ids = new Set(report.cases.filter(({ id }) => cases.has(id)).flatMap(({ clauses }) => clauses))
  return report.clauses.filter(({ id }) => ids.has(id))
}

function standardTable(report: Report, sets: readonly SetReport[], name: string, clauses: readonly Clause[]): string {
  const rows = clauses.map(clause => {
    const head = `<th scope="row"><span class="level">${clause.level}</span> ${escaped(clause.text)} <code class="id">${escaped(clause.id)}</code> ${sectionLink(clause)} <small class="soft">${escaped(forceText(clause))}</small></th>`
    return `<tr>${head}${sets.map(set => cell(report, set, clause)).join('')}</tr>`
  })
  const heads = sets.map(set => `<th scope="col">${escaped(set.name)}</th>`).join('')
  const table = `<table><thead><tr><th scope="col">clause</th>${heads}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
  return `<h2>${escaped(name)}</h2>${scrolling(`clauses of ${name}`, table)}`
}

function summary(report: Report, set: SetReport, plugin: string): string {
  const file = set.files?.find(one => one.plugin === plugin)
  const { held, broken } = pluginScore(report, set, plugin)
  const what = file === undefined ? 'not there' : `${file.version || 'says no version'}; sha256 ${file.sha256}`
  return `<li><b>${escaped(set.name)}</b>: ${count(held, 'clause')} hold, ${broken.length} broken<br><small class="soft breaks">${escaped(what)}</small></li>`
}

function findings(report: Report, set: SetReport, plugin: string): string {
  const blocks = report.clauses.flatMap(clause => {
    const score = scoreOf(report, set, clause.id)
    if (score.broken === 0) return []
    const level = score.brokenAs ?? clause.level
    return [
      `<h4><span class="level ${CLASS[level]}">${level}</span> ${escaped(clause.text)} <code class="id">${escaped(clause.id)}</code></h4>${findingHtml(plugin, score.findings)}`
    ]
  })
  return `<h3>${escaped(set.name)}</h3>${blocks.length === 0 ? '<p>Nothing found.</p>' : blocks.join('\n')}`
}

/** @param back the address of the main page, seen from this one */
export function pluginPage(report: Report, plugin: string, back: string, folder = process.cwd()): string {
  const sets = report.sets.filter(set => set.plugins.includes(plugin)).map(set => onlyOf(set, plugin))
  const clauses = asked(report, plugin)
  const tables = STANDARDS.filter(({ name }) => report.standards.includes(name)).flatMap(({ name }) => {
    const own = clausesOf(clauses, [name])
    return own.length === 0 ? [] : [standardTable(report, sets, name, own)]
  })
  const body = `<p><a href="${escaped(back)}">All plugins</a></p>
<h1>${escaped(plugin)}</h1>
<p class="soft"><small>${metaText(report)}</small></p>
<ul>${sets.map(set => summary(report, set, plugin)).join('')}</ul>
<h2>Findings</h2>
${sets.map(set => findings(report, set, plugin)).join('\n')}
${tables.join('\n')}`
  return withoutFolder(page(`CNI plugin ${plugin}`, body), folder)
}
