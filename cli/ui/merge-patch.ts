/**
 * What changed between two documents, as a JSON Merge Patch: an object with what is new, `null` for what went. Arrays and
 * plain values are replaced as a whole. The documents themselves hold no null.
 *
 * @source RFC 7396
 */

/** A document: objects, arrays, texts, numbers, truths. */
export type Document = unknown

/** @returns undefined when the two are equal */
export function mergePatch(before: Document, after: Document): Document {
  if (!isObject(before) || !isObject(after)) return isEqual(before, after) ? undefined : after
  const patch = emptyObject()
  let count = 0
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const part = partOf(before, after, key)
    if (part === undefined) continue
    patch[key] = part
    count += 1
  }
  return count === 0 ? undefined : patch
}

function partOf(before: Fields, after: Fields, key: string): Document {
  const now = fieldOf(after, key)
  if (now === undefined) return fieldOf(before, key) === undefined ? undefined : null
  const then = fieldOf(before, key)
  // An object takes the place of what was none: applied to that, a patch begins with an empty one.
  return then === undefined ? now : mergePatch(then, now)
}

/** The document after the change. The one before is left as it is, and shares with it what did not change. */
export function patched(before: Document, patch: Document): Document {
  if (!isObject(patch)) return patch
  const after = emptyObject()
  if (isObject(before)) for (const key of Object.keys(before)) after[key] = before[key]
  for (const key of Object.keys(patch)) {
    const part = patch[key]
    if (part === null) delete after[key]
    else after[key] = patched(fieldOf(after, key), part)
  }
  return after
}

type Fields = Record<string, unknown>

/** Without a prototype: a key may be called `__proto__`. */
function emptyObject(): Fields {
  return Object.create(null)
}

function fieldOf(of: Fields, key: string): unknown {
  return Object.hasOwn(of, key) ? of[key] : undefined
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEqual(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item: unknown, i) => isEqual(item, b[i]))
  return isObject(a) && isObject(b) ? mergePatch(a, b) === undefined : a === b
}
