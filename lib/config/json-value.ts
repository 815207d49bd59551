/** One JSON value, and how to make one. */

/**
 * One value. `text` is a string's value, a number's literal, or `true`, `false`, `null`; '' for the other two.
 * An object's `keys[i]` names `items[i]`, in the order written, duplicates kept; an array has only `items`.
 */
export interface Json {
  readonly type: 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'
  readonly text: string
  readonly keys: readonly string[]
  readonly items: readonly Json[]
}

export const NO_KEYS: readonly string[] = []
export const NO_ITEMS: readonly Json[] = []

export function jsonString(value: string): Json {
  return { type: 'string', text: value, keys: NO_KEYS, items: NO_ITEMS }
}

/** @param value a finite number */
export function jsonNumber(value: number): Json {
  return { type: 'number', text: String(value), keys: NO_KEYS, items: NO_ITEMS }
}

export function jsonBoolean(value: boolean): Json {
  return { type: 'boolean', text: value ? 'true' : 'false', keys: NO_KEYS, items: NO_ITEMS }
}

export const jsonNull: Json = { type: 'null', text: 'null', keys: NO_KEYS, items: NO_ITEMS }

export function jsonArray(items: readonly Json[]): Json {
  return { type: 'array', text: '', keys: NO_KEYS, items }
}

/** An object with these members; one whose value is undefined is left out. */
export function jsonObject(entries: readonly (readonly [string, Json | undefined])[]): Json {
  const keys: string[] = []
  const items: Json[] = []
  for (const [key, value] of entries) {
    if (value === undefined) continue
    keys.push(key)
    items.push(value)
  }
  return { type: 'object', text: '', keys, items }
}
