/** The scoreboard: HTML that needs nothing else, no font, no picture; for screens of any width and for paper. */
import type { Clause, Level } from './clauses/clause.ts'
import { LEVELS } from './clauses/clause.ts'
import {
  type ClauseScore,
  pluginScore,
  type Report,
  type SetReport,
  scoreOf,
  standardScores,
  withoutFolder
} from './report.ts'
import {
  anchor,
  CLASS,
  count,
  escaped,
  findingHtml,
  forceText,
  metaText,
  page,
  scoreCell,
  scrolling,
  sectionLink
} from './report-html-parts.ts'
import { clausesOf, STANDARDS, standardOf } from './standards.ts'

/** A clause that a set breaks, with all plugins that break it. */
function brokenClause(set: SetReport, clause: Clause, score: ClauseScore): string {
  const level = score.brokenAs ?? clause.level
  const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))]
  const blocks = plugins.map(plugin =>
    findingHtml(
      plugin,
      score.findings.filter(one => one.plugin === plugin)
    )
  )
  return (
    `<details class="broken ${CLASS[level]}-edge" id="${anchor('f', set.name, clause.id)}" data-level="${level}"><summary>` +
    `<span class="level ${CLASS[level]}">${level}</span> ${escaped(clause.text)} ` +
    `<code class="id">${escaped(clause.id)}</code><span class="who">${escaped(plugins.join(', '))}</span></summary>` +
    `<p>${sectionLink(clause)}</p>${blocks.join('')}</details>`
  )
}

function findingsSection(report: Report, set: SetReport): string {
  const broken = report.clauses
    .map(clause => ({ clause, score: scoreOf(report, set, clause.id) }))
    .filter(({ score }) => score.broken > 0)
  const at = (level: Level) => broken.filter(({ clause, score }) => (score.brokenAs ?? clause.level) === level)
  const head = `<h3>${escaped(set.name)}</h3>`
  if (broken.length === 0) return `${head}<p class="clean">Nothing found: every clause that could be tried holds.</p>`
  const musts = at('MUST').length
  const summary = `${count(musts, 'MUST')} and ${count(broken.length - musts, 'other clause')} broken`
  const sorted = LEVELS.flatMap(at)
  return `${head}<p class="soft">${summary}.</p>${sorted.map(one => brokenClause(set, one.clause, one.score)).join('\n')}`
}

/** One row for each thing that is judged by, so that the specification's score stands apart from that of keys. */
function standardTable(report: Report, head: string): string {
  const rows = report.standards.map(name => {
    const cells = report.sets.map(set => {
      const score = standardScores(report, set).find(one => one.standard === name)
      if (score === undefined) return '<td></td>'
      const { tried, broken } = score
      const parts = LEVELS.filter(level => tried[level] > 0).map(
        level => `<b>${tried[level] - broken[level]}</b> of ${tried[level]} ${level}`
      )
      const kind = broken.MUST > 0 ? 'no' : broken.SHOULD + broken.CUSTOM > 0 ? 'meh' : 'ok'
      return parts.length === 0
        ? '<td class="none">nothing to try</td>'
        : `<td class="${kind}">${parts.join('<br>')}</td>`
    })
    const text = standardOf(name)?.text ?? ''
    return `<tr><th scope="row">${escaped(name)}<small class="why">${escaped(text)}</small></th>${cells.join('')}</tr>`
  })
  const table = `<table><thead><tr><th scope="col">judged by</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
  return scrolling('score by profile', table)
}

/** A plugin's cell for one set: how many clauses hold, and which don't. */
function pluginCell(report: Report, set: SetReport, plugin: string): string {
  if (!set.plugins.includes(plugin)) return '<td class="score none">not in the set</td>'
  const { held, broken, untestable } = pluginScore(report, set, plugin)
  const [gravest] = broken
  if (gravest === undefined) {
    if (held > 0) return `<td class="score ok">${held} hold</td>`
    const why = set.results.find(one => one.plugin === plugin && one.why !== '')?.why ?? ''
    return `<td class="score none">${untestable} not tried<small class="why">${escaped(why)}</small></td>`
  }
  return `<td class="score ${CLASS[gravest.level]}">${broken.length} of ${held + broken.length} broken</td>`
}

function pluginGrid(report: Report, head: string, pages: string | undefined): string {
  const plugins = [...new Set(report.sets.flatMap(set => set.plugins))].sort()
  const rows = plugins.map(plugin => {
    const name =
      pages === undefined ? escaped(plugin) : `<a href="${escaped(`${pages}/${plugin}.html`)}">${escaped(plugin)}</a>`
    return `<tr><th scope="row">${name}</th>${report.sets.map(set => pluginCell(report, set, plugin)).join('')}</tr>`
  })
  const table = `<table class="grid"><thead><tr><th scope="col">plugin</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
  return scrolling('plugins', table)
}

/** What was judged, to the byte. */
function filesSection(report: Report): string {
  const tables = report.sets.map(set => {
    const rows = (set.files ?? []).map(
      ({ plugin, version, sha256 }) =>
        `<tr><th scope="row">${escaped(plugin)}</th><td>${escaped(version || 'says no version')}</td><td><code class="breaks">${sha256}</code></td></tr>`
    )
    const head = '<tr><th scope="col">plugin</th><th scope="col">version</th><th scope="col">sha256</th></tr>'
    const effort = set.effort === undefined ? '' : `, repetitions at ${Math.round(set.effort * 100)} %`
    const table = `<table><thead>${head}</thead><tbody>${rows.join('\n')}</tbody></table>`
    return `<h3>${escaped(set.name)}</h3><p class="soft">${count(set.plugins.length, 'plugin')}${effort}</p>${scrolling(`files of ${set.name}`, table)}`
  })
  return `<details><summary>Versions and digests of what was judged</summary>${tables.join('\n')}</details>`
}

/** Sections in the order in which they first come, with their clauses. */
function sections(clauses: readonly Clause[]): readonly (readonly [string, readonly Clause[]])[] {
  const found = new Map<string, Clause[]>()
  for (const clause of clauses) {
    const list = found.get(clause.section) ?? []
    list.push(clause)
    found.set(clause.section, list)
  }
  return [...found]
}

function clauseTable(report: Report, section: string, clauses: readonly Clause[], head: string): string {
  const rows = clauses.map(clause => {
    const cells = report.sets.map(set => scoreCell(clause, scoreOf(report, set, clause.id), set.name)).join('')
    const level = `<span class="level">${clause.level}</span>`
    const force = `<small class="soft">${escaped(forceText(clause))}</small>`
    return `<tr class="clause" data-level="${clause.level}"><th scope="row">${level} ${escaped(clause.text)} <code class="id">${escaped(clause.id)}</code> ${sectionLink(clause)} ${force}</th>${cells}</tr>`
  })
  const table = `<table><thead><tr><th scope="col">clause</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
  return (
    `<details class="section"><summary>${escaped(section)} <span class="soft">${count(clauses.length, 'clause')}</span></summary>` +
    `${scrolling(section, table)}</details>`
  )
}

function standardSection(report: Report, name: string, head: string): string {
  const clauses = clausesOf(report.clauses, [name])
  if (clauses.length === 0) return ''
  const tables = sections(clauses).map(([section, own]) => clauseTable(report, section, own, head))
  return `<h2 id="${anchor(name)}">${escaped(name)}</h2><p class="soft">${escaped(standardOf(name)?.text ?? '')}</p>${tables.join('\n')}`
}

const FILTERS = `<form class="filters" role="search" aria-label="clauses and findings"><label>Search <input id="search" type="search"></label>
<label>Level <select id="level"><option value="">all</option><option>MUST</option><option>SHOULD</option><option>CUSTOM</option></select></label>
<label>State <select id="state"><option value="">all</option><option value="broken">broken</option><option value="untried">not tried</option><option value="held">holds</option></select></label>
<output id="shown" for="search level state"></output></form>`

const READING = `<h2 id="reading">How to read this</h2>
<p>A clause holds only if it holds in every case on every plugin that it applies to. <b>MUST</b> and <b>SHOULD</b> are the words of the text
that the clause links to, in the version in which the plugin was called; under profiles other than the specification's, MUST stands for what every
release of the reference plugins since 1.0 documents, SHOULD for later keys. <b>CUSTOM</b> is written as no duty, but runtimes in use depend on it.</p>
<p><b>Not tried</b>: the reason stands beside it: no plugin of the set supports it, or the kernel lacks what it needs.</p>`

/**
 * @param folder left out of paths, so that the file says the same wherever it was made
 * @param pages the folder of the pages of single plugins, seen from this one
 */
export function htmlReport(report: Report, folder = process.cwd(), pages?: string): string {
  const head = report.sets.map(set => `<th scope="col">${escaped(set.name)}</th>`).join('')
  const notJudged = report.sets.flatMap(({ name, notJudged: files }) =>
    files.length === 0 ? [] : [`<b>${escaped(name)}</b>: ${escaped(files.join(', '))}`]
  )
  const names = STANDARDS.map(({ name }) => name).filter(name => report.standards.includes(name))
  const body = `<h1>CNI plugins, judged from outside</h1>
<p>${report.clauses.length} clauses, each proved by running the executables in throw-away network namespaces and looking at the kernel.</p>
<p class="soft"><small>${metaText(report)}</small></p>
${standardTable(report, head)}
<nav aria-label="sections"><a href="#plugins">Plugins</a> <a href="#findings">Findings</a> ${names.map(name => `<a href="#${anchor(name)}">${escaped(name)}</a>`).join(' ')} <a href="#reading">How to read this</a></nav>
<h2 id="plugins">Plugin by plugin</h2>
<p class="soft">Clauses of all profiles that hold, or how many of them are broken.</p>
${pluginGrid(report, head, pages)}
${filesSection(report)}
${FILTERS}
<h2 id="findings">Findings</h2>
${report.sets.map(set => findingsSection(report, set)).join('\n')}
${names.map(name => standardSection(report, name, head)).join('\n')}
${READING}
${notJudged.length === 0 ? '' : `<p>Not judged at all: ${notJudged.join('; ')}.</p>`}`
  return withoutFolder(page('CNI plugin scoreboard', body), folder)
}
