/** What the author of a plugin tells the suite about it: a configuration alone, or a whole profile. */
import { readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { isObject, type JsonObject, objects, parsed } from './json.ts'
import { type OwnCase, type OwnStep, PROFILES, type Profile, ROLES, type Role } from './profiles.ts'

const KNOWN_KEYS = ['type', 'role', 'config', 'prepare', 'cleanup', 'unready', 'needsKernel', 'second', 'cases']

/** @throws Error naming file, key and what is expected */
export function readProfile(path: string): Profile {
  const value = parsed(readFileSync(path, 'utf8'))
  if (!isObject(value)) throw new Error(`read --config ${path}: a JSON object expected`)
  if (typeof value['type'] !== 'string') throw new Error(`read --config ${path}: the key type must name the plugin`)
  return 'role' in value || 'config' in value ? fromProfile(path, value) : fromConfig(value)
}

/** A bare configuration: with ipam it makes an interface, without it comes later in a chain. */
function fromConfig(value: JsonObject): Profile {
  const { cniVersion: _version, name: _name, ipam, type: _type, ...keys } = value
  const type = String(value['type'])
  const known = PROFILES.find(profile => profile.type === type)
  if (known !== undefined) return { ...known, config: { ...known.config, ...keys } }
  return { type, role: isObject(ipam) ? 'interface' : 'chained', config: keys, layer2: !isObject(ipam) }
}

function fromProfile(path: string, value: JsonObject): Profile {
  const fail = (key: string, expected: string): never => {
    throw new Error(`read --config ${path}: ${key}: ${expected} expected, got ${JSON.stringify(value[key])}`)
  }
  for (const key of Object.keys(value)) {
    if (!KNOWN_KEYS.includes(key))
      throw new Error(`read --config ${path}: unknown key ${key}; known: ${KNOWN_KEYS.join(', ')}`)
  }
  const optional = (key: string) => {
    const one = value[key]
    if (one !== undefined && !isObject(one)) fail(key, 'an object')
    return isObject(one) ? one : undefined
  }
  const lines = (key: string) => {
    const one = value[key]
    if (one === undefined) return undefined
    if (!Array.isArray(one) || one.some(line => typeof line !== 'string')) fail(key, 'a list of shell lines')
    return one as readonly string[]
  }
  const kind = value['needsKernel']
  if (kind !== undefined && typeof kind !== 'string') fail('needsKernel', 'a kind of link')
  const known = PROFILES.find(profile => profile.type === value['type'])
  const role: Role =
    ROLES.find(one => one === value['role']) ?? known?.role ?? fail('role', `one of ${ROLES.join(', ')}`)
  return {
    ...known,
    ...withoutUndefined({
      prepareCommands: lines('prepare'),
      cleanupCommands: lines('cleanup'),
      unready: optional('unready'),
      second: optional('second'),
      kernelKind: typeof kind === 'string' ? kind : undefined,
      ownCases: ownCases(path, value['cases'])
    }),
    type: String(value['type']),
    role,
    config: { ...known?.config, ...optional('config') }
  }
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Cases as data, or paths of programs beside the file. */
function ownCases(path: string, value: unknown): readonly OwnCase[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) throw new Error(`read --config ${path}: cases: a list expected`)
  return value.map((one: unknown) => {
    if (typeof one === 'string') {
      const program = resolve(dirname(path), one)
      return { id: basename(one), title: `the program ${basename(one)}`, program }
    }
    if (!isObject(one) || typeof one['id'] !== 'string') {
      throw new Error(`read --config ${path}: cases: each is the path of a program, or an object with id and steps`)
    }
    return {
      id: one['id'],
      title: String(one['title'] ?? one['id']),
      steps: objects(one['steps']) as readonly OwnStep[]
    }
  })
}
