/** How the scoreboard looks: light and dark by the reader's own setting, and on paper. */
export const SCOREBOARD_STYLE = `
:root { color-scheme: light dark; --ink:#1d2329; --soft:#5d6873; --paper:#fafaf7; --card:#ffffff; --line:#e2e5e8; --good:#14694a; --goodbg:#e6f4ed;
  --bad:#b3261e; --badbg:#fbe9e7; --warn:#8a5a00; --warnbg:#fdf1d8; --none:#5d6873; --link:#1f5fa8 }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ec; --soft:#9aa5af; --paper:#14181c; --card:#1b2127; --line:#2d353d;
  --good:#5fd3a5; --goodbg:#14352a; --bad:#ff8a80; --badbg:#41211f; --warn:#f3c063; --warnbg:#3a2e14; --none:#9aa5af; --link:#8ab8f0 } }
* { box-sizing:border-box }
html { scroll-behavior:smooth; scroll-padding-top:1rem }
body { margin:0; background:var(--paper); color:var(--ink); font:16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
main { max-width:1040px; margin:0 auto; padding:2.5rem 1.25rem 5rem }
h1 { font-size:1.9rem; line-height:1.2; margin:0 0 .5rem; letter-spacing:-.01em }
h2 { font-size:1.3rem; margin:3rem 0 .5rem; padding-top:.4rem; border-top:1px solid var(--line) }
h3 { font-size:1.05rem; margin:1.6rem 0 .3rem }
p { max-width:46rem; margin:.4rem 0 } .soft { color:var(--soft) } small { font-size:.85rem } a { color:var(--link) }
nav { display:flex; flex-wrap:wrap; gap:.4rem 1.2rem; margin:1rem 0 }
table { width:100%; border-collapse:collapse; background:var(--card); border:1px solid var(--line) }
th, td { text-align:left; padding:.4rem .7rem; border-top:1px solid var(--line); vertical-align:top }
thead th { border-top:0; font-size:.85rem; color:var(--soft) } tbody th { font-weight:500 }
td a { color:inherit } td { font-variant-numeric:tabular-nums; min-width:7rem }
.wide { overflow-x:auto } small.why { display:block; color:var(--none); font-weight:400; max-width:22rem } .breaks { overflow-wrap:anywhere }
tbody th { text-align:left; min-width:12rem } a.where { font-size:.85rem; margin-left:.3rem }
.filters { display:flex; flex-wrap:wrap; gap:.6rem 1.2rem; align-items:end; margin:1.5rem 0 .5rem; padding:.8rem 1rem; background:var(--card); border:1px solid var(--line); border-radius:6px }
.filters input, .filters select { font:inherit; padding:.2rem .4rem; color:var(--ink); background:var(--paper); border:1px solid var(--soft); border-radius:4px; max-width:100% }
[hidden] { display:none !important }
.ok { color:var(--good); background:var(--goodbg) } .no { color:var(--bad); background:var(--badbg); font-weight:600 }
.meh { color:var(--warn); background:var(--warnbg); font-weight:600 } .none { color:var(--none) }
.level { display:inline-block; font-size:.7rem; font-weight:650; letter-spacing:.03em; color:var(--soft); min-width:4.2rem }
.level.no, .level.meh { text-align:center; border-radius:4px; padding:.05rem .3rem; margin-right:.3rem }
.level.no { color:var(--bad) } .level.meh { color:var(--warn) }
code, pre { font:.82rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace } code.id { color:var(--soft) }
pre { white-space:pre-wrap; overflow-wrap:anywhere; background:var(--paper); border:1px solid var(--line); border-radius:6px; padding:.6rem .8rem; margin:.3rem 0 .6rem }
details > summary { cursor:pointer }
details.broken { background:var(--card); border:1px solid var(--line); border-left:4px solid var(--warn); border-radius:6px; padding:.45rem .8rem; margin:.4rem 0 }
details.broken.no-edge { border-left-color:var(--bad) } details.broken:target { outline:2px solid var(--link) }
.who { display:block; margin-left:5.6rem; font-size:.85rem; color:var(--soft) }
.finding { border-top:1px solid var(--line); padding-top:.6rem; margin:.7rem 0 }
dl { display:grid; grid-template-columns:5rem 1fr; gap:.15rem .8rem; margin:.3rem 0; font-size:.9rem } dt { color:var(--soft) } dd { margin:0; overflow-wrap:anywhere }
details.section { margin:.35rem 0 } details.section > summary { background:var(--card); border:1px solid var(--line); border-radius:6px; padding:.4rem .8rem }
details.section[open] > summary { border-radius:6px 6px 0 0; border-bottom:0 }
.clean { color:var(--good); font-weight:550 }
@media (max-width:640px) { main { padding:1.2rem .8rem 3rem } td, th { padding:.35rem .4rem } .who { margin-left:0 } dl { grid-template-columns:1fr } tbody th { min-width:9rem } }
@media print { :root { --paper:#fff; --card:#fff; --ink:#000; --soft:#444; --line:#bbb } main { max-width:none; padding:0 } nav, pre, .filters { display:none }
  body { font-size:10pt } tr, details.broken { break-inside:avoid } h2, h3 { break-after:avoid } * { print-color-adjust:exact; -webkit-print-color-adjust:exact } }
`

/** Search and filters: rows of clauses and findings that do not match are hidden, sections without any as well. */
export const SCOREBOARD_SCRIPT = `
(() => {
  const get = id => document.getElementById(id)
  const [search, level, state, shown] = ['search', 'level', 'state', 'shown'].map(get)
  if (!search) return
  const apply = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean)
    const fits = one =>
      words.every(word => one.textContent.toLowerCase().includes(word)) && (!level.value || one.dataset.level === level.value)
    let rows = 0
    for (const row of document.querySelectorAll('tr.clause')) {
      const stands = !state.value || row.querySelector('[data-state="' + state.value + '"]')
      row.hidden = !(fits(row) && stands)
      if (!row.hidden) rows += 1
    }
    for (const one of document.querySelectorAll('details.broken')) one.hidden = !fits(one) || (state.value && state.value !== 'broken')
    const active = words.length > 0 || level.value || state.value
    for (const section of document.querySelectorAll('details.section')) {
      const some = section.querySelector('tr.clause:not([hidden])')
      section.hidden = !some
      section.open = Boolean(active && some)
    }
    shown.textContent = active ? rows + ' clauses' : ''
  }
  for (const one of [search, level, state]) one.addEventListener('input', apply)
  search.form.addEventListener('submit', event => event.preventDefault())
  addEventListener('hashchange', () => {
    const target = document.getElementById(location.hash.slice(1))
    if (target && 'open' in target) target.open = true
  })
})()
`
