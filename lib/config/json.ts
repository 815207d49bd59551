/**
 * JSON as a tree of one kind of record. JSON.parse gives values whose type is known only at run time, and rounds
 * numbers above 2^53; here every number keeps its digits and the tree has a static type.
 */
import { type Json, jsonNull } from './json-value.ts'

export { JsonError, parseJson } from './json-parser.ts'
export {
  type Json,
  jsonArray,
  jsonBoolean,
  jsonNull,
  jsonNumber,
  jsonObject,
  jsonString
} from './json-value.ts'

/** Writes the value; on one line, or with `indent` spaces per level. Numbers are written as they were read. */
export function jsonText(json: Json, indent?: number): string {
  return indent === undefined ? compactText(json) : indentedText(json, ' '.repeat(indent), '\n')
}

/**
 * The member of that name: the one spelled exactly so, else one that differs in case only; of several the last.
 * Runtimes written in Go send `HostPort` for `hostPort`, because Go's reader does not care.
 */
export function memberOf(json: Json, key: string): Json | undefined {
  let found = -1
  let at = 0
  for (const name of json.keys) {
    if (name === key) found = at
    at += 1
  }
  if (found < 0) found = similarPlace(json.keys, key)
  return found < 0 ? undefined : json.items[found]
}

/** The last key that differs in case only; -1 when there is none. */
function similarPlace(keys: readonly string[], key: string): number {
  const size = key.length
  let found = -1
  let at = 0
  for (const name of keys) {
    // Our keys are plain letters: what has them as its small letters is as long. It spares nearly all the work.
    if (name.length === size && name.toLowerCase() === key.toLowerCase()) found = at
    at += 1
  }
  return found
}

/**
 * The object with that member set. Members that differ from the key in case only are dropped, since a reader that
 * ignores case would take them for this one.
 */
export function withMember(json: Json, key: string, value: Json): Json {
  if (!hasSimilar(json.keys, key)) {
    return { type: 'object', text: '', keys: json.keys.concat([key]), items: json.items.concat([value]) }
  }
  const lower = key.toLowerCase()
  const keys: string[] = []
  const items: Json[] = []
  for (let i = 0; i < json.keys.length; i += 1) {
    const name = json.keys[i] ?? ''
    if (name.toLowerCase() === lower) continue
    keys.push(name)
    items.push(json.items[i] ?? jsonNull)
  }
  keys.push(key)
  items.push(value)
  return { type: 'object', text: '', keys, items }
}

function hasSimilar(keys: readonly string[], key: string): boolean {
  for (const name of keys) if (name === key) return true
  return similarPlace(keys, key) >= 0
}

function compactText(json: Json): string {
  if (json.type === 'string') return JSON.stringify(json.text)
  if (json.type === 'array') return `[${json.items.map(compactText).join(',')}]`
  if (json.type !== 'object') return json.text
  return `{${json.items.map((item, i) => `${JSON.stringify(json.keys[i] ?? '')}:${compactText(item)}`).join(',')}}`
}

function indentedText(json: Json, step: string, newline: string): string {
  const isObject = json.type === 'object'
  if ((!isObject && json.type !== 'array') || json.items.length === 0) return compactText(json)
  const inner = newline + step
  const parts: string[] = []
  for (let i = 0; i < json.items.length; i += 1) {
    const text = indentedText(json.items[i] ?? jsonNull, step, inner)
    parts.push(isObject ? `${JSON.stringify(json.keys[i] ?? '')}: ${text}` : text)
  }
  const body = inner + parts.join(`,${inner}`) + newline
  return isObject ? `{${body}}` : `[${body}]`
}
