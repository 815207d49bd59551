/**
 * The map as one page that needs nothing else: search, light and dark, and everything about a namespace on a click. Its policy
 * lets nothing be loaded, and only this script run.
 */
import { createHash } from 'node:crypto'
import type { NamespaceView, View } from '../../lib/view/model.ts'
import { segmentsOf } from '../../lib/view/segments.ts'
import { escaped, scriptJson } from './markup.ts'
import { picture, STYLE } from './svg.ts'

export function htmlMap(view: View): string {
  const { width, height, content } = picture(view)
  const hash = createHash('sha256').update(SCRIPT).digest('base64')
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`
  const title = escaped(`Container networks of ${view.host}`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p>Read ${escaped(view.readAt)}</p>
<label>Find <input id="find" type="search" placeholder="name, address, port, MAC" autocomplete="off"></label>
<output id="found" for="find"></output>
</header>
<main>
<div class="scroll" tabindex="0" role="region" aria-label="Map">
<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}" role="group" aria-label="${title}">${content}</svg>
</div>
<aside id="details" aria-live="polite"><p>Choose a container to see all about it.</p></aside>
</main>
<script type="application/json" id="view">${scriptJson({ namespaces: drawn(view) })}</script>
<script>${SCRIPT}</script>
</body>
</html>
`
}

/** What can be clicked at. */
function drawn(view: View): readonly NamespaceView[] {
  const apart = new Set(segmentsOf(view).apart.map(one => one.id))
  return view.namespaces.filter(one => !apart.has(one.id))
}

const PAGE_STYLE = `
:root { color-scheme: light dark }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header { padding: 1rem; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline }
h1 { font-size: 1.2rem; margin: 0 } header p { margin: 0; color: var(--soft) }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--wire); border-radius: 4px; padding: .3rem .5rem; width: 16rem; max-width: 100% }
main { display: grid; grid-template-columns: minmax(0, 1fr) 22rem; gap: 1rem; padding: 0 1rem 1rem }
.scroll { overflow: auto; border: 1px solid var(--wire); border-radius: 4px }
aside { border: 1px solid var(--wire); border-radius: 4px; padding: 0 1rem; overflow-wrap: anywhere; align-self: start }
aside h2 { font-size: 1.05rem } aside h3 { font-size: .95rem; margin-bottom: 0 }
aside dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .75rem; margin: 0 0 1rem } aside dt { color: var(--soft) } aside dd { margin: 0 }
.card { cursor: pointer } .card:focus { outline: none } .card:focus-visible .box, .card.chosen .box { stroke: var(--bar); stroke-width: 2 }
.card.missed { opacity: .15 }
@media (max-width: 60rem) { main { grid-template-columns: minmax(0, 1fr) } }
`

/** Text goes into the page as text alone: textContent. */
const SCRIPT = `'use strict'
const view = JSON.parse(document.getElementById('view').textContent)
const cards = [...document.querySelectorAll('.card')]
const found = document.getElementById('found')
const details = document.getElementById('details')
const find = document.getElementById('find')
const harmless = text => String(text).replace(/[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}\\p{Co}\\p{Cn}]/gu, c => '\\\\u{' + c.codePointAt(0).toString(16) + '}')
function element(tag, text) { const made = document.createElement(tag); made.textContent = harmless(text); return made }
function facts(pairs) {
  const list = document.createElement('dl')
  for (const [name, value] of pairs) if (value !== '' && value !== undefined) list.append(element('dt', name), element('dd', value))
  return list
}
function placeText(place) {
  const other = view.namespaces.find(one => one.id === place.namespace)
  const link = other && other.links.find(one => one.index === place.index)
  return (link ? link.name : '#' + place.index) + ' of ' + (other ? other.name : place.namespace)
}
function show(id) {
  const one = view.namespaces.find(candidate => candidate.id === id)
  if (!one) return
  const process = one.processes.pid ? one.processes.command + ' (' + one.processes.pid + ')' : ''
  details.replaceChildren(element('h2', one.name), facts([['container', one.containerId], ['runtime', one.runtime],
    ['process', process], ['namespace', one.paths.join(' ') || one.id], ['not read', one.problem]]))
  for (const link of one.links) {
    const { rxBytes, rxPackets, rxDropped, txBytes, txPackets, txDropped } = link.counters
    details.append(element('h3', link.name), facts([['kind', link.kind], ['state', link.isUp ? link.state : 'down'], ['MAC', link.mac],
      ['MTU', link.mtu], ['addresses', link.addresses.join(' ')], ['alias', link.alias], ['other end', link.peer && placeText(link.peer)],
      ['network', link.owner && link.owner.network], ['received', rxBytes + ' bytes, ' + rxPackets + ' packets, ' + rxDropped + ' dropped'],
      ['sent', txBytes + ' bytes, ' + txPackets + ' packets, ' + txDropped + ' dropped']]))
  }
  if (one.routes.length) details.append(element('h3', 'routes'))
  for (const route of one.routes) details.append(element('div', [route.dst, route.gateway && 'via ' + route.gateway, route.link && 'dev ' + route.link].filter(Boolean).join(' ')))
  for (const card of cards) card.classList.toggle('chosen', card.dataset.namespace === id)
}
for (const card of cards) {
  card.setAttribute('tabindex', '0')
  card.setAttribute('role', 'button')
  card.addEventListener('click', () => show(card.dataset.namespace))
  card.addEventListener('keydown', event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); show(card.dataset.namespace) } })
}
find.addEventListener('input', () => {
  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean)
  let count = 0
  for (const card of cards) {
    const fits = words.every(word => card.dataset.words.includes(word))
    card.classList.toggle('missed', !fits)
    if (fits) count += 1
  }
  found.textContent = words.length ? count + ' found' : ''
})
`
