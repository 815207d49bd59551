/** The services that the registry has told of. */
import type { IpAddress } from '../../lib/ip/address.ts'
import { Precedence, type Refused } from './precedence.ts'
import type { ServiceRecord } from './record.ts'

export class KnownServices {
  readonly #all = new Map<string, ServiceRecord>()
  /** Services by network and alias. */
  readonly #called = new Map<string, Set<string>>()
  readonly #precedence = new Precedence()

  get size(): number {
    return this.#all.size
  }

  list(): readonly ServiceRecord[] {
    return [...this.#all.values()]
  }

  find(name: string): ServiceRecord | undefined {
    return this.#all.get(name)
  }

  on(network: string): readonly ServiceRecord[] {
    return this.list().filter(one => one.network === network)
  }

  /** Whose members are called so. */
  called(network: string, alias: string): Iterable<string> {
    return this.#called.get(`${network} ${alias}`) ?? []
  }

  /** @returns other services, which may have got or lost an address or a port by it */
  set(record: ServiceRecord): readonly ServiceRecord[] {
    const before = this.#all.get(record.name)
    const rivals = before === undefined ? [] : this.#rivalsOf(before)
    this.#uncall(before)
    this.#all.set(record.name, record)
    const key = calledIn(record)
    this.#called.set(key, (this.#called.get(key) ?? new Set()).add(record.name))
    this.#precedence.replace(before, record)
    return [...new Set([...rivals, ...this.#rivalsOf(record)])]
  }

  /** @returns as `set` */
  delete(record: ServiceRecord): readonly ServiceRecord[] {
    const rivals = this.#rivalsOf(record)
    this.#uncall(record)
    this.#all.delete(record.name)
    this.#precedence.replace(record, undefined)
    return rivals
  }

  /** Without addresses that an older service has. */
  vipsOf(record: ServiceRecord): readonly IpAddress[] {
    return this.#precedence.granted(record).vips
  }

  /** Without ports that an older service has. */
  publishedOf(record: ServiceRecord): ServiceRecord['published'] {
    return this.#precedence.granted(record).published
  }

  refused(record: ServiceRecord): readonly Refused[] {
    return this.#precedence.refused(record)
  }

  #rivalsOf(record: ServiceRecord): readonly ServiceRecord[] {
    return [...this.#precedence.rivalsOf(record)].flatMap(name => this.#all.get(name) ?? [])
  }

  #uncall(record: ServiceRecord | undefined): void {
    if (record === undefined) return
    const key = calledIn(record)
    this.#called.get(key)?.delete(record.name)
    if (this.#called.get(key)?.size === 0) this.#called.delete(key)
  }
}

function calledIn({ network, alias }: ServiceRecord): string {
  return `${network} ${alias}`
}
