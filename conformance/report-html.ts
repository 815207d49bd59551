/** The scoreboard: one HTML file that needs nothing else, no script, no font, no picture; for screens and for paper. */
import type { Finding } from './case.ts'
import type { Clause, Level } from './clauses/clause.ts'
import {
  type ClauseScore,
  findingsOf,
  pluginScore,
  type Report,
  type SetReport,
  scoreOf,
  withoutFolder
} from './report.ts'
import { SCOREBOARD_STYLE } from './report-style.ts'

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** An id of the page: letters, digits and hyphens. */
function anchor(...parts: readonly string[]): string {
  return parts.join('-').replaceAll(/[^A-Za-z0-9-]/g, '-')
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

const CLASS: Readonly<Record<Level, string>> = { MUST: 'no', SHOULD: 'meh', CUSTOM: 'meh' }

/** A clause's cell for one set. */
function cell(clause: Clause, score: ClauseScore): string {
  const all = score.held + score.broken
  if (all === 0) {
    const why = score.untestable.length === 0 ? 'not tried' : score.untestable.join('; ')
    return `<td class="score none" title="${escaped(why)}">not tried</td>`
  }
  if (score.broken === 0) return `<td class="score ok" title="holds for all ${all} plugins">&#10003; ${all}</td>`
  const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))].join(', ')
  return `<td class="score ${CLASS[clause.level]}" title="${escaped(plugins)}">&#10007; ${score.broken} of ${all}</td>`
}

/** What was expected and not seen, of one plugin on one clause: the first cases in full, one call to repeat. */
function findingHtml(
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
      `<dt>expected</dt><dd>${escaped(finding.expected)}</dd><dt>seen</dt><dd>${escaped(finding.seen.slice(0, 700))}</dd>`
  )
  const call = findings.find(({ finding }) => finding.call !== '')?.finding.call ?? ''
  const repeat =
    call === ''
      ? ''
      : `<details><summary class="soft">repeat the call</summary><pre>${escaped(call.slice(0, 3000))}</pre></details>`
  const cases = [...new Set(findings.map(({ caseId }) => caseId))].join(', ')
  return (
    `<div class="finding"><b>${escaped(plugin)}</b> <code class="id">${escaped(cases)}</code>` +
    `<dl>${rows.join('')}</dl>${more > 0 ? `<p class="soft">and ${more} more of this kind</p>` : ''}${repeat}</div>`
  )
}

/** A clause that a set breaks, with all plugins that break it. */
function brokenClause(set: SetReport, clause: Clause, score: ClauseScore): string {
  const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))]
  const blocks = plugins.map(plugin =>
    findingHtml(
      plugin,
      score.findings.filter(one => one.plugin === plugin)
    )
  )
  return (
    `<details class="broken ${CLASS[clause.level]}-edge" id="${anchor('f', set.name, clause.id)}"><summary>` +
    `<span class="level ${CLASS[clause.level]}">${clause.level}</span> ${escaped(clause.text)} ` +
    `<code class="id">${escaped(clause.id)}</code><span class="who">${escaped(plugins.join(', '))}</span></summary>` +
    `${blocks.join('')}</details>`
  )
}

function findingsSection(report: Report, set: SetReport): string {
  const broken = report.clauses
    .map(clause => ({ clause, score: scoreOf(report, set, clause.id) }))
    .filter(({ score }) => score.broken > 0)
  const order: readonly Level[] = ['MUST', 'SHOULD', 'CUSTOM']
  const sorted = order.flatMap(level => broken.filter(({ clause }) => clause.level === level))
  const head = `<h3>${escaped(set.name)}</h3>`
  if (sorted.length === 0) return `${head}<p class="clean">Nothing found: every clause that could be tried holds.</p>`
  const musts = broken.filter(({ clause }) => clause.level === 'MUST').length
  const summary = `${count(musts, 'MUST')} and ${count(sorted.length - musts, 'other clause')} broken`
  return `${head}<p class="soft">${summary}.</p>${sorted.map(one => brokenClause(set, one.clause, one.score)).join('\n')}`
}

function card(report: Report, set: SetReport): string {
  const scores = report.clauses.map(clause => ({ clause, score: scoreOf(report, set, clause.id) }))
  const tried = scores.filter(({ score }) => score.held + score.broken > 0)
  const musts = tried.filter(({ clause }) => clause.level === 'MUST')
  const brokenMusts = musts.filter(({ score }) => score.broken > 0).length
  const brokenOthers = tried.filter(({ clause, score }) => clause.level !== 'MUST' && score.broken > 0).length
  const part = (n: number) => `${((100 * n) / Math.max(1, tried.length)).toFixed(1)}%`
  const held = tried.length - brokenMusts - brokenOthers
  const cases = set.results.filter(({ verdict }) => verdict === 'passed' || verdict === 'failed').length
  const untried = set.results.filter(({ verdict }) => verdict === 'not testable').length
  const elsewhere = [...new Set(set.results.flatMap(({ kernel }) => (kernel === undefined ? [] : [kernel])))]
  const guests = set.results.filter(({ kernel }) => kernel !== undefined).length
  const effort = set.effort === undefined ? '' : `; repetitions: ${Math.round(set.effort * 100)} % of the full number`
  return [
    `<div class="card"><h3>${escaped(set.name)}</h3>`,
    `<div class="big">${musts.length - brokenMusts} <small class="soft">of ${musts.length} MUST</small></div>`,
    `<div class="bar" role="img" aria-label="${held} clauses hold, ${brokenOthers} others and ${brokenMusts} MUSTs are broken">`,
    `<i class="g" style="width:${part(held)}"></i><i class="w" style="width:${part(brokenOthers)}"></i><i class="b" style="width:${part(brokenMusts)}"></i></div>`,
    `<small>${held} of ${tried.length} clauses hold on all of its ${set.plugins.length} plugins, in ${cases} cases; ${count(findingsOf(report, set).length, 'finding')}</small>`,
    `<br><small class="soft">${untried} cases could not be tried${effort}`,
    elsewhere.length === 0 ? '' : `; ${guests} cases under ${escaped(elsewhere.join(', '))}`,
    '</small></div>'
  ].join('')
}

/** A plugin's cell for one set: how many clauses hold, and which don't. */
function pluginCell(report: Report, set: SetReport, plugin: string): string {
  if (!set.plugins.includes(plugin)) return '<td class="score none">&ndash;</td>'
  const { held, broken } = pluginScore(report, set, plugin)
  const [gravest] = broken
  if (gravest === undefined) {
    return held === 0 ? '<td class="score none">not tried</td>' : `<td class="score ok">&#10003; ${held}</td>`
  }
  const title = broken.map(({ level, id }) => `${level} ${id}`).join(', ')
  const link = `<a href="#${anchor('f', set.name, gravest.id)}">&#10007; ${broken.length}</a>`
  return `<td class="score ${CLASS[gravest.level]}" title="${escaped(title)}">${link} <small>of ${held + broken.length}</small></td>`
}

function pluginGrid(report: Report, head: string): string {
  const plugins = [...new Set(report.sets.flatMap(set => set.plugins))].sort()
  const rows = plugins.map(
    plugin =>
      `<tr><th scope="row">${escaped(plugin)}</th>${report.sets.map(set => pluginCell(report, set, plugin)).join('')}</tr>`
  )
  return `<table class="grid"><thead><tr><th>plugin</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

/** Sections in the order in which they first come, with their clauses. */
function sections(report: Report): readonly (readonly [string, readonly Clause[]])[] {
  const found = new Map<string, Clause[]>()
  for (const clause of report.clauses) {
    const list = found.get(clause.section) ?? []
    list.push(clause)
    found.set(clause.section, list)
  }
  return [...found]
}

function clauseTable(report: Report, section: string, clauses: readonly Clause[], head: string): string {
  const rows = clauses.map(clause => {
    const cells = report.sets.map(set => cell(clause, scoreOf(report, set, clause.id))).join('')
    const level = `<span class="level">${clause.level}</span>`
    return `<tr><td>${level} ${escaped(clause.text)} <code class="id">${escaped(clause.id)}</code></td>${cells}</tr>`
  })
  const marks = report.sets.map(set => {
    const broken = clauses.filter(clause => scoreOf(report, set, clause.id).broken > 0)
    const kind = broken.length === 0 ? 'ok' : broken.some(({ level }) => level === 'MUST') ? 'no' : 'meh'
    const text = broken.length === 0 ? '&#10003;' : `&#10007; ${broken.length}`
    return `<span class="mark ${kind}" title="${escaped(set.name)}">${text}</span>`
  })
  return (
    `<details class="section"><summary>${escaped(section)} <span class="soft">${count(clauses.length, 'clause')}</span>` +
    `<span class="marks">${marks.join('')}</span></summary>` +
    `<table><thead><tr><th>clause</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></details>`
  )
}

/** @param folder left out of paths, so that the file says the same wherever it was made */
export function htmlReport(report: Report, folder = process.cwd()): string {
  const head = report.sets.map(set => `<th scope="col" class="score">${escaped(set.name)}</th>`).join('')
  const all = sections(report)
  const table = ([section, clauses]: readonly [string, readonly Clause[]]) =>
    clauseTable(report, section, clauses, head)
  const isPlugin = ([section]: readonly [string, readonly Clause[]]) => section.endsWith(' plugin')
  const notJudged = report.sets.flatMap(({ name, notJudged }) =>
    notJudged.length === 0 ? [] : [`<b>${escaped(name)}</b>: ${escaped(notJudged.join(', '))}`]
  )
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>CNI plugin scoreboard</title><style>${SCOREBOARD_STYLE}</style></head><body><main>
<h1>CNI plugins, judged from outside</h1>
<p>${report.clauses.length} clauses: what the CNI specification 1.1.0 asks of a plugin, and what the documentation of the reference plugins
promises of their keys. Each is proved by running the executables in throw-away network namespaces and looking at the kernel.</p>
<p class="soft"><small>${escaped(report.date)}, ${escaped(report.kernel)}, random seed ${report.seed}, ${Math.round(report.seconds / 60)} minutes. Made by <code>${escaped(report.command)}</code></small></p>
<div class="cards">${report.sets.map(set => card(report, set)).join('')}</div>
<nav><a href="#plugins">Plugins</a> <a href="#findings">Findings</a> <a href="#specification">Specification</a> <a href="#keys">Keys</a> <a href="#reading">How to read this</a></nav>
<h2 id="plugins">Plugin by plugin</h2>
<p class="soft">Clauses that hold, or how many of them are broken. A broken one leads to the gravest finding.</p>
${pluginGrid(report, head)}
<h2 id="findings">Findings</h2>
${report.sets.map(set => findingsSection(report, set)).join('\n')}
<h2 id="specification">The specification, clause by clause</h2>
${all
  .filter(one => !isPlugin(one))
  .map(table)
  .join('\n')}
<h2 id="keys">Configuration keys, plugin by plugin</h2>
${all.filter(isPlugin).map(table).join('\n')}
<h2 id="reading">How to read this</h2>
<p>A mark counts plugins: a clause holds only if it holds in every case on every plugin that it applies to. <b>MUST</b> and <b>SHOULD</b> are the
specification's words; MUST also stands for keys that every release of the reference plugins since 1.0 documents, SHOULD for later ones and for what
operators ask for. <b>CUSTOM</b> is written in no specification, but runtimes in use depend on it.</p>
<p><b>Not tried</b>: none of the set's plugins supports it, or the kernel lacks what it needs; the reason shows when the pointer rests on it.
${notJudged.length === 0 ? '' : `Not judged at all: ${notJudged.join('; ')}.`}</p>
</main></body></html>
`
  return withoutFolder(page, folder)
}
