/** Texts of others in SVG and HTML. A container may call an interface `<script>`, `"onload=` or anything else of 15 bytes. */
import { visible } from '../../lib/view/visible.ts'

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}

/** For the content of elements and for attributes in quotes. */
export function escaped(text: string): string {
  return visible(text).replaceAll(/[&<>"']/g, character => ENTITIES[character] ?? '')
}

/** JSON inside of a `script` element, in printable ASCII: nothing in it can end the element, or the line of who reads it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[<\u007f-\uffff]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}
