/** The scoreboard: one HTML file, no scripts from elsewhere, readable without any. */
import type { Clause } from './clauses.ts'
import { type ClauseScore, findingsOf, type Report, type SetReport, scoreOf, withoutFolder } from './report.ts'

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { --ink:#1d2329; --soft:#5d6873; --paper:#fbfbf9; --card:#ffffff; --line:#e2e5e8; --good:#1a7f5a; --goodbg:#e4f4ec;
  --bad:#b3261e; --badbg:#fbe9e7; --warn:#8a5a00; --warnbg:#fdf1d8; --none:#9aa3ab; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ec; --soft:#9aa5af; --paper:#14181c; --card:#1b2127; --line:#2d353d;
  --good:#5fd3a5; --goodbg:#14352a; --bad:#ff8a80; --badbg:#41211f; --warn:#f3c063; --warnbg:#3a2e14; --none:#5b656e; } }
* { box-sizing: border-box }
body { margin:0; background:var(--paper); color:var(--ink); font:16px/1.5 system-ui, sans-serif }
main { max-width:1080px; margin:0 auto; padding:2.5rem 1.25rem 5rem }
h1 { font-size:1.9rem; line-height:1.2; margin:0 0 .4rem; letter-spacing:-.01em }
h2 { font-size:1.15rem; margin:2.6rem 0 .6rem }
p { max-width:46rem; margin:.4rem 0 } .soft { color:var(--soft) } small { font-size:.85rem }
.cards { display:grid; grid-template-columns:repeat(auto-fit, minmax(250px, 1fr)); gap:1rem; margin:1.6rem 0 }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:1rem 1.2rem }
.card h3 { margin:0 0 .2rem; font-size:1.05rem } .big { font-size:2rem; font-weight:650; line-height:1.15; font-variant-numeric:tabular-nums }
.bar { display:flex; height:10px; border-radius:5px; overflow:hidden; background:var(--line); margin:.6rem 0 }
.bar i { display:block; height:100% } .bar .g { background:var(--good) } .bar .b { background:var(--bad) } .bar .w { background:var(--warn) }
table { width:100%; border-collapse:collapse; background:var(--card); border:1px solid var(--line) }
th, td { text-align:left; padding:.45rem .7rem; border-top:1px solid var(--line); vertical-align:top }
thead th { position:sticky; top:0; background:var(--card); border-top:0; box-shadow:0 1px 0 var(--line); font-size:.85rem }
td.score, th.score { width:8.5rem; text-align:center; white-space:nowrap; font-variant-numeric:tabular-nums }
.level { display:inline-block; font-size:.7rem; font-weight:650; letter-spacing:.03em; color:var(--soft); min-width:4.2rem }
.ok { color:var(--good); background:var(--goodbg) } .no { color:var(--bad); background:var(--badbg); font-weight:600 }
.meh { color:var(--warn); background:var(--warnbg); font-weight:600 } .none { color:var(--none) }
code, pre { font:.82rem/1.45 ui-monospace, monospace } code.id { color:var(--soft) }
pre { white-space:pre-wrap; overflow-wrap:anywhere; background:var(--paper); border:1px solid var(--line); border-radius:6px; padding:.6rem .8rem; margin:.3rem 0 1rem }
details > summary { cursor:pointer; list-style-position:outside } details[open] > summary { margin-bottom:.5rem }
.finding { border-left:3px solid var(--bad); padding-left:.8rem; margin:.7rem 0 }
dl { display:grid; grid-template-columns:5.5rem 1fr; gap:.15rem .8rem; margin:.3rem 0 } dt { color:var(--soft) } dd { margin:0; overflow-wrap:anywhere }
label.only { display:inline-flex; gap:.5rem; align-items:center; margin:1rem 0; cursor:pointer }
body:has(#only:checked) tr.fine { display:none }
`

function cell(clause: Clause, score: ClauseScore): string {
  const all = score.held + score.broken
  if (all === 0) {
    const why = score.untestable.length === 0 ? 'not tried' : score.untestable.join('; ')
    return `<td class="score none" title="${escaped(why)}">not tried</td>`
  }
  if (score.broken === 0) return `<td class="score ok" title="holds for all ${all} plugins">&#10003; ${all}</td>`
  const kind = clause.level === 'MUST' ? 'no' : 'meh'
  const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))].join(', ')
  return `<td class="score ${kind}" title="${escaped(plugins)}">&#10007; ${score.broken} of ${all}</td>`
}

const MOST_FINDINGS_SHOWN = 12

function findingsHtml(set: SetReport, score: ClauseScore): string {
  const shown = score.findings
    .slice(0, MOST_FINDINGS_SHOWN)
    .map(
      ({ plugin, caseId, finding }) =>
        `<div class="finding"><b>${escaped(plugin)}</b> <code class="id">${escaped(caseId)}</code><dl>` +
        `<dt>expected</dt><dd>${escaped(finding.expected)}</dd><dt>seen</dt><dd>${escaped(finding.seen.slice(0, 1200))}</dd></dl>` +
        (finding.call === ''
          ? ''
          : `<details><summary class="soft">the call</summary><pre>${escaped(finding.call.slice(0, 3000))}</pre></details>`) +
        '</div>'
    )
  const more = score.findings.length - shown.length
  return `<p><b>${escaped(set.name)}</b></p>${shown.join('')}${more > 0 ? `<p class="soft">and ${more} more</p>` : ''}`
}

function row(report: Report, clause: Clause): string {
  const scores = report.sets.map(set => scoreOf(report, set, clause.id))
  const broken = scores.some(score => score.broken > 0)
  const title = `<span class="level">${clause.level}</span> ${escaped(clause.text)} <code class="id">${escaped(clause.id)}</code>`
  const body = report.sets
    .map((set, index) => ({ set, score: scores[index] }))
    .flatMap(({ set, score }) => (score === undefined || score.findings.length === 0 ? [] : [findingsHtml(set, score)]))
  const text = broken ? `<details><summary>${title}</summary>${body.join('')}</details>` : title
  const cells = scores.map(score => cell(clause, score)).join('')
  return `<tr class="${broken ? 'found' : 'fine'}"><td>${text}</td>${cells}</tr>`
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
  return [
    `<div class="card"><h3>${escaped(set.name)}</h3>`,
    `<div class="big">${musts.length - brokenMusts} <small class="soft">of ${musts.length} MUST</small></div>`,
    `<div class="bar"><i class="g" style="width:${part(held)}"></i><i class="w" style="width:${part(brokenOthers)}"></i><i class="b" style="width:${part(brokenMusts)}"></i></div>`,
    `<small class="soft">${held} of ${tried.length} clauses hold; ${findingsOf(report, set).length} findings in ${cases} cases on ${set.plugins.length} plugins</small></div>`
  ].join('')
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

/** @param folder left out of paths, so that the file says the same wherever it was made */
export function htmlReport(report: Report, folder = process.cwd()): string {
  const head = report.sets.map(set => `<th class="score">${escaped(set.name)}</th>`).join('')
  const tables = sections(report).map(
    ([section, clauses]) =>
      `<h2>${escaped(section)}</h2><table><thead><tr><th>clause</th>${head}</tr></thead><tbody>${clauses.map(clause => row(report, clause)).join('\n')}</tbody></table>`
  )
  const plugins = report.sets.map(
    set =>
      `<p><small><b>${escaped(set.name)}</b> <span class="soft">${escaped(set.plugins.join(', '))}${set.notJudged.length === 0 ? '' : escaped(`; not judged: ${set.notJudged.join(', ')}`)}</span></small></p>`
  )
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>CNI plugin scoreboard</title><style>${STYLE}</style></head><body><main>
<h1>CNI plugins, judged from outside</h1>
<p>Every clause of the CNI specification 1.1.0 that a plugin can be held to, and what the documentation of the reference plugins promises of their keys,
each proved by running the executables in throw-away network namespaces. A mark counts plugins: a clause holds only if it holds in every case on every plugin it applies to. Open a marked clause to see what was expected, what was seen, and the call.</p>
<p class="soft"><small>${escaped(report.date)}, ${escaped(report.kernel)}, random seed ${report.seed}, ${report.seconds.toFixed(0)} s. Made by <code>${escaped(report.command)}</code></small></p>
<div class="cards">${report.sets.map(set => card(report, set)).join('')}</div>
${plugins.join('')}
<p class="soft"><small><b>MUST</b> and <b>SHOULD</b> as in the specification, MUST also for documented keys. <b>CUSTOM</b>: in no specification, but runtimes in use depend on it.
<b>not tried</b>: none of the set's plugins supports it, or this kernel lacks what it needs.</small></p>
<label class="only"><input type="checkbox" id="only"> only clauses with findings</label>
${tables.join('\n')}
</main></body></html>
`
  return withoutFolder(page, folder)
}
