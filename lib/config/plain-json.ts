/**
 * JSON out of values as programs have them, for what runs on Node alone (agent, DHCP daemon, command): a recursive union has no
 * static form for the plugins' compiler, which write the tree by jsonObject and its like.
 */
import { type Json, jsonArray, jsonBoolean, jsonNull, jsonNumber, jsonObject, jsonString } from './json.ts'

/** What jsonOf takes. A tree stands for itself; a Map is an object whose keys nobody of ours chose. */
export type Plain =
  | string
  | number
  | boolean
  | null
  | undefined
  | Json
  | readonly Plain[]
  | ReadonlyMap<string, Plain>
  | PlainObject

export interface PlainObject {
  readonly [key: string]: Plain
}

/**
 * The value as a tree, in the order of its keys; members that are undefined are left out.
 *
 * @param value no number in it is infinite or NaN
 */
export function jsonOf(value: Plain): Json {
  if (value === null || value === undefined) return jsonNull
  if (typeof value === 'string') return jsonString(value)
  if (typeof value === 'number') return jsonNumber(value)
  if (typeof value === 'boolean') return jsonBoolean(value)
  if (isList(value)) return jsonArray(value.map(jsonOf))
  if (isTree(value)) return value
  const members = value instanceof Map ? [...value] : Object.entries(value)
  return jsonObject(members.map(([key, one]) => [key, one === undefined ? undefined : jsonOf(one)]))
}

function isList(value: object): value is readonly Plain[] {
  return Array.isArray(value)
}

function isTree(value: object): value is Json {
  return 'type' in value && 'text' in value && 'keys' in value && Array.isArray(value.keys)
}
