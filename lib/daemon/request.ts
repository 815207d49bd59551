/** A plugin's request to a daemon: one JSON object, read and judged as configurations are. */

import type { Attachment } from '../attachment.ts'
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { parseJson } from '../config/json.ts'
import { Section } from '../config/section.ts'

const DEFAULT_MS = 9500
const LONGEST_MS = 3_600_000

export class DaemonRequest {
  /** What to do: the member `do`. */
  readonly what: string
  /** All of it. */
  readonly members: Section
  readonly #deadline: number

  /** @throws {JsonError} {ConfigError} when the line is no object that says what to do */
  constructor(line: string) {
    this.members = new Section(parseJson(line))
    const milliseconds = this.members.integer('milliseconds', 1, LONGEST_MS) ?? DEFAULT_MS
    this.#deadline = performance.now() + milliseconds
    this.what = this.text('do')
    this.members.finish()
  }

  /** How long the plugin will wait from now. */
  get milliseconds(): number {
    return Math.max(0, this.#deadline - performance.now())
  }

  /** A string that must be there. */
  text(key: string): string {
    const text = this.members.text(key)
    if (text === undefined) this.members.problem(key, 'is required: a string')
    return text ?? ''
  }

  /** Something that keys and files are made of. */
  name(key: string): string {
    const name = this.text(key)
    if (!/^[^\s/:]+$/.test(name) || name === '.' || name === '..') this.members.problem(key, 'must be a name')
    return name
  }

  /** @throws {ConfigError} when it is not named as it must be */
  attachment(): Attachment {
    const one = { network: this.name('network'), containerId: this.name('containerId'), ifName: this.name('ifName') }
    this.members.finish()
    return one
  }

  /** GC: whether the runtime still knows an attachment of the network. @throws {ConfigError} */
  stray(): (one: Attachment) => boolean {
    const network = this.name('network')
    if (!this.members.has('keep')) this.members.problem('keep', 'is required: an array of objects')
    const keep = this.members
      .sections('keep')
      .map(one => `${one.text('containerId') ?? ''}:${one.text('ifName') ?? ''}`)
    this.members.finish()
    const known = new Set(keep)
    return one => one.network === network && !known.has(`${one.containerId}:${one.ifName}`)
  }

  /** The daemon knows no such request. */
  unknown(): CniError {
    const hint = 'plugin and daemon are of different versions: install one of them anew'
    return new CniError(INVALID_CONFIG, `answer ${JSON.stringify(this.what)}: no such request`, hint)
  }
}
