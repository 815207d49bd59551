/** What is to go from etcd: keys that this host has written, as soon as etcd can be reached. */
import { type Etcd, OPERATIONS_PER_TXN, read, remove } from './etcd/etcd.ts'

export interface ForgettingOptions {
  readonly etcd: Etcd
  /** The lease that this host's keys go by. */
  readonly lease: () => bigint
  /** As etcd knows the key. */
  readonly keyOf: (key: string) => string
  /** Settles when what is there of this host has been put right. */
  readonly whenRight: () => Promise<unknown>
  /** Some keys are no longer to go. */
  readonly changed: () => void
  /** milliseconds, of one call */
  readonly patience: number
}

export class Forgetting {
  readonly #options: ForgettingOptions
  readonly #keys = new Set<string>()
  /** On this connection keys are being removed, those that are added meanwhile, too. */
  #connection: object | undefined

  constructor(options: ForgettingOptions) {
    this.#options = options
  }

  add(keys: readonly string[]): void {
    for (const key of keys) this.#keys.add(key)
  }

  /** @returns whether it was to go */
  keep(key: string): boolean {
    const wasToGo = this.#keys.delete(key)
    if (wasToGo) this.#options.changed()
    return wasToGo
  }

  /** @returns what tells whether all that is to go by now has gone, or is to stay after all */
  whatIsToGo(): () => boolean {
    const keys = [...this.#keys]
    return () => keys.every(key => !this.#keys.has(key))
  }

  isUnderWay(connection: object): boolean {
    return this.#connection === connection
  }

  /** @throws Error when the connection is to blame */
  async run(connection: object | undefined): Promise<void> {
    this.#connection = connection
    try {
      while (this.#keys.size > 0) await this.#removeSome()
    } finally {
      if (this.#connection === connection) this.#connection = undefined
    }
  }

  async #removeSome(): Promise<void> {
    const { etcd, lease, keyOf, whenRight, changed, patience } = this.#options
    // A container goes while its records are being put right: not in etcd yet, they would count as gone, and be written
    // a moment later.
    await whenRight()
    const keys = [...this.#keys].slice(0, OPERATIONS_PER_TXN)
    const reads = keys.map(key => read(keyOf(key)))
    const { found } = await etcd.txn([], reads, [], patience)
    // Those that still are this host's, and still are to go: an address may have gone on to another one.
    const own = keys.flatMap((key, i) => {
      const entries = this.#keys.has(key) ? (found[i] ?? []) : []
      return entries.filter(entry => entry.lease === lease())
    })
    const conditions = own.map(entry => ({ key: entry.key, since: entry.modRevision }))
    const removals = own.map(entry => remove(entry.key))
    const done = await etcd.txn(conditions, removals, [], patience)
    if (done.succeeded) for (const key of keys) this.#keys.delete(key)
    changed()
  }
}
