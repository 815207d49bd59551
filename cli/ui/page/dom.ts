/** Elements from texts that containers have chosen: text goes into the page as text alone, with what nobody could see written out. */
import { visible } from '../../../lib/view/visible.ts'

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  style: string,
  ...content: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  if (style !== '') made.className = style
  made.append(...content.map(one => (typeof one === 'string' ? visible(one) : one)))
  return made
}

export function button(style: string, text: string, onClick: () => void): HTMLButtonElement {
  const made = element('button', style, text)
  made.type = 'button'
  made.addEventListener('click', onClick)
  return made
}

/** Changes nothing where the text is there already: what is selected or read aloud stays so. */
export function setText(node: Node, text: string): void {
  const harmless = visible(text)
  if (node.textContent !== harmless) node.textContent = harmless
}

/** @throws Error when the page has no such element, which is a fault of page.html */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

/** A list of names and values, without those that are ''. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): HTMLElement {
  const list = element('dl', '')
  for (const [name, value] of pairs) if (value !== '') list.append(element('dt', '', name), element('dd', '', value))
  return list
}
