/** The map as a graph for Graphviz. @source https://graphviz.org/doc/info/lang.html, quoted strings */
import type { View } from '../../lib/view/model.ts'
import { visible } from '../../lib/view/visible.ts'
import { drawingOf, type Item } from './panels.ts'
import { UNICODE_SIGNS } from './texts.ts'

export function dotMap(view: View): string {
  const { host, uplinks, panels } = drawingOf(view, UNICODE_SIGNS)
  const nodes = new Map<string, string>()
  const edges: string[] = []
  if (host !== undefined) {
    const label = [host.name, ...uplinks.map(cells => cells.filter(cell => cell !== '').join(' '))]
    nodes.set(host.id, `${quoted(host.id)} [shape=box, style=bold, label=${quoted(label.join('\n'))}]`)
  }
  panels.forEach(({ title, facts, inside, items }, i) => {
    const id = `panel ${String(i)}`
    nodes.set(id, `${quoted(id)} [shape=ellipse, label=${quoted([title, ...facts].join('\n'))}]`)
    if (inside !== '') edges.push(`${quoted(inside)} -- ${quoted(id)}`)
    items.forEach((item, place) => {
      const node = item.namespace === '' ? `${id} ${String(place)}` : item.namespace
      if (!nodes.has(node)) nodes.set(node, `${quoted(node)} [shape=box, label=${quoted(item.name)}]`)
      edges.push(`${quoted(id)} -- ${quoted(node)} [label=${quoted(edgeText(item))}]`)
    })
  })
  const lines = [...nodes.values(), ...edges].map(line => `  ${line}\n`).join('')
  return `graph ${quoted(view.host)} {\n  node [fontname="monospace"]\n  edge [fontname="monospace"]\n${lines}}\n`
}

function edgeText({ via, lines }: Item): string {
  return [...(via === '' ? [] : [via]), ...lines].join('\n')
}

/** In quotes, a backslash makes escapes such as \N, the node's name: each line is escaped by itself. */
function quoted(text: string): string {
  const lines = text.split('\n').map(line => visible(line).replaceAll('\\', '\\\\').replaceAll('"', '\\"'))
  return `"${lines.join('\\n')}"`
}
