/** A plugin's question, read and judged: one JSON object. */
import { INVALID_CONFIG } from '../lib/cni/error.ts'
import { type Json, parseJson } from '../lib/config/json.ts'
import { type IpAddress, parseAddress } from '../lib/ip/address.ts'
import type { Tunnel } from '../lib/overlay/tunnel.ts'
import { tunnelFromJson } from '../lib/overlay/tunnel-json.ts'
import type { AddressSet, Span } from './address-pool.ts'
import type { Attachment } from './endpoint.ts'
import { AgentFailure } from './failure.ts'

const DEFAULT_MS = 9500

export class Question {
  readonly #members: ReadonlyMap<string, unknown>
  readonly #deadline: number

  /** @throws AgentFailure code 7 when the line is no object */
  constructor(line: string) {
    this.#members = new Map(Object.entries(parseObject(line)))
    const milliseconds = this.#members.get('milliseconds')
    this.#deadline = Date.now() + (typeof milliseconds === 'number' ? milliseconds : DEFAULT_MS)
  }

  /** How long the plugin will wait from now. */
  get milliseconds(): number {
    return Math.max(0, this.#deadline - Date.now())
  }

  text(key: string): string {
    const value = this.#members.get(key)
    if (typeof value !== 'string') throw wrong(key, 'a string')
    return value
  }

  texts(key: string): readonly string[] {
    const value = this.#members.get(key)
    if (!isTextList(value)) throw wrong(key, 'a list of strings')
    return value
  }

  /** The names that keys and files are made of. */
  attachment(): Attachment {
    const attachment = {
      network: this.text('network'),
      containerId: this.text('containerId'),
      ifName: this.text('ifName')
    }
    for (const [key, name] of Object.entries(attachment)) if (!isName(name)) throw wrong(key, 'a name')
    return attachment
  }

  network(): string {
    const network = this.text('network')
    if (!isName(network)) throw wrong('network', 'a name')
    return network
  }

  pool(): string {
    const pool = this.text('pool')
    if (!isName(pool)) throw wrong('pool', 'a name')
    return pool
  }

  tunnel(): Tunnel {
    const value: unknown = this.#members.get('tunnel')
    const json: Json = parseJson(JSON.stringify(value ?? null))
    const tunnel = json.type === 'object' ? tunnelFromJson(json) : undefined
    if (tunnel === undefined) throw wrong('tunnel', 'a tunnel')
    return tunnel
  }

  /** GC: what the runtime still knows of the network. */
  keep(): ReadonlySet<string> {
    const value = this.#members.get('keep')
    if (!Array.isArray(value)) throw wrong('keep', 'a list')
    return new Set(value.map(({ containerId, ifName }) => `${String(containerId)}:${String(ifName)}`))
  }

  sets(): readonly AddressSet[] {
    const value = this.#members.get('sets')
    if (!Array.isArray(value)) throw wrong('sets', 'a list')
    return value.map(set => ({
      path: String(set.path),
      spans: Array.isArray(set.spans) ? set.spans.map(spanOf) : [],
      wanted: set.wanted === undefined ? undefined : addressOf(set.wanted)
    }))
  }
}

function parseObject(line: string): object {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new AgentFailure(INVALID_CONFIG, 'read the question: it must be a JSON object in one line')
}

function wrong(key: string, expectation: string): AgentFailure {
  return new AgentFailure(INVALID_CONFIG, `read the question: ${key} must be ${expectation}`)
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(one => typeof one === 'string')
}

function isName(text: string): boolean {
  return /^[^\s/:]+$/.test(text) && text !== '.' && text !== '..'
}

function spanOf(value: { readonly first?: unknown; readonly last?: unknown }): Span {
  return { first: addressOf(value.first), last: addressOf(value.last) }
}

function addressOf(value: unknown): IpAddress {
  const address = parseAddress(String(value))
  if (address === undefined) throw wrong('sets', 'ranges of addresses')
  return address
}
