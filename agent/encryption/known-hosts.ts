/** The key of each host that this one has ever known, as in SSH's file of that name: <directory>/known-hosts.json. */
import { join } from 'node:path'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { ensureDirectory, readText, writeAtomic } from '../../lib/sys/files.ts'
import { keyBytes } from './keys.ts'

export class KnownHosts {
  readonly #path: string
  #keys: ReadonlyMap<string, string>

  /** @throws {CniError} code 50 for a file that is not ours to understand: nobody is believed anew because of it */
  constructor(directory: string) {
    ensureDirectory(directory, 0o700)
    this.#path = join(directory, 'known-hosts.json')
    const text = readText(this.#path)
    const keys = text === undefined ? new Map<string, string>() : keysOf(text)
    if (keys === undefined) {
      const advice = 'correct it; without it, the keys that hosts present now are believed'
      throw new CniError(NOT_AVAILABLE, `read ${JSON.stringify(this.#path)}: it does not hold keys of hosts`, advice)
    }
    this.#keys = keys
  }

  /** Public keys in base64, by host. */
  get keys(): ReadonlyMap<string, string> {
    return this.#keys
  }

  /** @throws {SysError} and what was known stays */
  add(keys: ReadonlyMap<string, string>): void {
    const all = new Map([...this.#keys, ...keys])
    const text = JSON.stringify(Object.fromEntries([...all].sort()), undefined, 2)
    writeAtomic(this.#path, `${text}\n`, 0o600)
    this.#keys = all
  }
}

function keysOf(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value)
    return entries.every(([, key]) => typeof key === 'string' && keyBytes(key) !== undefined)
      ? new Map(entries)
      : undefined
  } catch {
    return undefined
  }
}
