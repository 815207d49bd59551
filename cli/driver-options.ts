/** The options of a network's driver. */
import { didYouMean } from './nearest.ts'
import { UsageError } from './output.ts'

/** Docker's `-o KEY=VALUE`: every key must be one that somebody reads. */
export class OptionReader {
  readonly #options: ReadonlyMap<string, string>
  readonly #known = new Set<string>()

  constructor(options: ReadonlyMap<string, string>) {
    this.#options = options
  }

  text(keys: readonly string[]): string | undefined {
    for (const key of keys) this.#known.add(key)
    const key = keys.find(one => this.#options.has(one))
    return key === undefined ? undefined : this.#options.get(key)
  }

  /** One of these words. */
  choice(keys: readonly string[], words: readonly string[]): string | undefined {
    const text = this.text(keys)
    if (text === undefined || words.includes(text)) return text
    const message = `read -o ${keys.at(-1) ?? ''}=${text}: must be one of ${words.join(', ')}`
    throw new UsageError(`${message}${didYouMean(text, words)}`)
  }

  boolean(keys: readonly string[], fallback: boolean): boolean {
    const text = this.text(keys)
    if (text === undefined) return fallback
    if (text === 'true' || text === '1') return true
    if (text === 'false' || text === '0') return false
    throw new UsageError(`read -o ${keys[0] ?? ''}=${text}: must be true or false`)
  }

  /** As the plugins' key, or nothing. */
  mtu(): { readonly mtu?: number } {
    const text = this.text(['com.docker.network.driver.mtu', 'mtu'])
    if (text === undefined) return {}
    const mtu = Number(text)
    if (/^[0-9]+$/.test(text) && mtu >= 68 && mtu <= 65535) return { mtu }
    throw new UsageError(`read -o mtu=${text}: must be an integer from 68 to 65535`)
  }

  finish(): void {
    const known = [...this.#known]
    const unknown = [...this.#options.keys()].filter(key => !this.#known.has(key))
    if (unknown.length === 0) return
    const near = didYouMean(unknown[0] ?? '', known)
    throw new UsageError(`read -o ${unknown.join(', ')}: unknown${near}`, `known are ${known.join(', ')}`)
  }
}
