/**
 * Reading a configuration object by key. Getters ignore the case of keys, take null for absent, and write down
 * what is wrong instead of throwing, so that one error names every mistake at once:
 *
 *     const config = new Section(json)
 *     const mtu = config.integer('mtu', 68, 65535)
 *     const isGateway = config.boolean('isGateway', false)
 *     config.finish()
 */
import { consistsOf, isDigit } from '../bytes/characters.ts'
import { type Json, jsonText, memberOf } from './json.ts'

/** The configuration cannot be used. Each problem names the key, what it must be, and the value found. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  /** True when the configuration is well formed, but asks for something that does not exist here. */
  readonly unsupported: boolean

  constructor(problems: readonly string[], unsupported = false) {
    super(problems.join('; '))
    this.name = 'ConfigError'
    this.problems = problems
    this.unsupported = unsupported
  }
}

/** One member of an object whose keys are its writer's own words. */
export interface Member {
  readonly key: string
  readonly json: Json
}

/** One object of the configuration, with its path in it (`ipam.ranges[0][1]`, '' for the whole). */
export class Section {
  readonly #json: Json
  readonly #path: string
  readonly #problems: string[]

  /** @param problems the list to add to; sections made by this one share it */
  constructor(json: Json, path = '', problems: string[] = []) {
    this.#json = json
    this.#path = path
    this.#problems = problems
    if (json.type !== 'object') problems.push(`${path === '' ? 'configuration' : path} must be an object${got(json)}`)
  }

  /** True when the key is there with a value other than null. */
  has(key: string): boolean {
    return this.json(key) !== undefined
  }

  boolean(key: string, fallback: boolean): boolean {
    const json = this.json(key)
    if (json === undefined) return fallback
    if (json.type === 'boolean') return json.text === 'true'
    this.#wrong(key, 'true or false', json)
    return fallback
  }

  /** An integer from `min` to `max`, both safe integers and allowed. `1e3` and `1.0` are not integers here, as in Go. */
  integer(key: string, min: number, max: number): number | undefined {
    const json = this.json(key)
    if (json === undefined) return undefined
    const value = json.type === 'number' && isInteger(json.text) ? Number(json.text) : NaN
    if (value >= min && value <= max) return value
    this.#wrong(key, `an integer from ${String(min)} to ${String(max)}`, json)
    return undefined
  }

  /** A string, '' included. */
  text(key: string): string | undefined {
    const json = this.json(key)
    if (json === undefined) return undefined
    if (json.type === 'string') return json.text
    this.#wrong(key, 'a string', json)
    return undefined
  }

  /** One of these strings, compared exactly. */
  oneOf(key: string, choices: readonly string[]): string | undefined {
    const json = this.json(key)
    if (json === undefined) return undefined
    if (json.type === 'string' && choices.some(choice => choice === json.text)) return json.text
    this.#wrong(key, `one of ${choices.map(choice => JSON.stringify(choice)).join(', ')}`, json)
    return undefined
  }

  /** An array of strings; empty when absent. */
  textList(key: string): readonly string[] {
    const json = this.json(key)
    if (json === undefined) return []
    if (json.type === 'array' && json.items.every(item => item.type === 'string')) return json.items.map(textOf)
    this.#wrong(key, 'an array of strings', json)
    return []
  }

  section(key: string): Section | undefined {
    const json = this.json(key)
    if (json === undefined) return undefined
    return new Section(json, this.pathOf(key), this.#problems)
  }

  /** An array of objects; empty when absent. */
  sections(key: string): readonly Section[] {
    const json = this.json(key)
    return json === undefined ? [] : this.#list(json, this.pathOf(key))
  }

  /** An array of arrays of objects; empty when absent. */
  sectionLists(key: string): readonly (readonly Section[])[] {
    const json = this.json(key)
    if (json === undefined) return []
    const lists: (readonly Section[])[] = []
    if (json.type !== 'array') this.#wrong(key, 'an array of arrays of objects', json)
    for (let i = 0; i < json.items.length; i += 1) {
      const item = json.items[i]
      if (json.type === 'array' && item !== undefined) lists.push(this.#list(item, `${this.pathOf(key)}[${String(i)}]`))
    }
    return lists
  }

  /** The member as it is; undefined when absent or null. */
  json(key: string): Json | undefined {
    const json = memberOf(this.#json, key)
    return json === undefined || json.type === 'null' ? undefined : json
  }

  /** Every member in the order written, null too: for objects whose keys are data, such as the names of sysctls. */
  members(): readonly Member[] {
    const members: Member[] = []
    for (let i = 0; i < this.#json.keys.length; i += 1) {
      const json = this.#json.items[i]
      if (json !== undefined) members.push({ key: this.#json.keys[i] ?? '', json })
    }
    return members
  }

  /** The whole object as it is. */
  value(): Json {
    return this.#json
  }

  path(): string {
    return this.#path
  }

  /** The path of one of its keys: `ipam.ranges[0][1].subnet`. */
  pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }

  /** Writes down a problem that only the caller can see: `<path> <message>, got <value>` (without it when absent). */
  problem(key: string, message: string): void {
    const json = this.json(key)
    this.#problems.push(`${this.pathOf(key)} ${message}${json === undefined ? '' : got(json)}`)
  }

  /** The same of a member at hand: looking up each of many by its key would be the work of a square. */
  memberProblem(member: Member, message: string): void {
    this.#problems.push(`${this.pathOf(member.key)} ${message}${got(member.json)}`)
  }

  /** What a key's list holds; nothing, and a problem, when it is longer than `most`: what costs time for each is bounded. */
  bounded<T>(key: string, all: readonly T[], most: number): readonly T[] {
    if (all.length <= most) return all
    this.problem(key, `must have ${String(most)} members at most`)
    return []
  }

  /**
   * The error to throw for a key whose value is well formed, but not possible here.
   *
   * @param why what to do instead, or the reason
   */
  unsupported(key: string, why: string): ConfigError {
    const json = this.json(key)
    const value = json === undefined ? '' : ` ${shortText(json)}`
    return new ConfigError([`${this.pathOf(key)}${value} is not supported: ${why}`], true)
  }

  /** What is wrong so far, in this section and all that share its list. */
  problems(): readonly string[] {
    return this.#problems
  }

  /** @throws {ConfigError} when there are problems */
  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems.slice(0))
  }

  #wrong(key: string, expectation: string, json: Json): void {
    this.#problems.push(`${this.pathOf(key)} must be ${expectation}${got(json)}`)
  }

  #list(json: Json, path: string): readonly Section[] {
    if (json.type !== 'array') {
      this.#problems.push(`${path} must be an array of objects${got(json)}`)
      return []
    }
    const sections: Section[] = []
    for (let i = 0; i < json.items.length; i += 1) {
      const item = json.items[i]
      if (item !== undefined) sections.push(new Section(item, `${path}[${String(i)}]`, this.#problems))
    }
    return sections
  }
}

function isInteger(text: string): boolean {
  return consistsOf(text.startsWith('-') ? text.slice(1) : text, isDigit)
}

function textOf(json: Json): string {
  return json.text
}

function got(json: Json): string {
  return `, got ${shortText(json)}`
}

/** A value as JSON, cut where it would drown the message. */
function shortText(json: Json): string {
  const text = jsonText(json)
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}
