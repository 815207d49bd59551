/** The services that the registry has told of. */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { Precedence, type Refused } from './precedence.ts'
import type { ServiceRecord } from './record.ts'

/** Of a network: why a service on it cannot have an address; '' when it can. */
export type Judges = (network: string) => (vip: IpAddress) => string

export class KnownServices {
  readonly #judges: Judges
  /** Addresses that a service cannot have, with the reason, by its name. */
  readonly #strange = new Map<string, readonly Refused[]>()
  readonly #all = new Map<string, ServiceRecord>()
  /** Services by network and alias. */
  readonly #called = new Map<string, Set<string>>()
  readonly #precedence = new Precedence()

  constructor(judges: Judges) {
    this.#judges = judges
  }

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
    this.#judge(record, this.#judges(record.network))
    return [...new Set([...rivals, ...this.#rivalsOf(record)])]
  }

  /** @returns as `set` */
  delete(record: ServiceRecord): readonly ServiceRecord[] {
    const rivals = this.#rivalsOf(record)
    this.#uncall(record)
    this.#all.delete(record.name)
    this.#strange.delete(record.name)
    this.#precedence.replace(record, undefined)
    return rivals
  }

  /** The network's configuration is there by now, or another one. @returns whose addresses are judged in another way */
  judgeAgain(network: string): readonly ServiceRecord[] {
    const judge = this.#judges(network)
    return this.on(network).filter(one => this.#judge(one, judge))
  }

  /** Without addresses that an older service has, and those that are none of the network's. */
  vipsOf(record: ServiceRecord): readonly IpAddress[] {
    const strange = new Set(this.#strange.get(record.name)?.map(one => one.what))
    return this.#precedence.granted(record).vips.filter(vip => !strange.has(formatAddress(vip)))
  }

  /** Without ports that an older service has. */
  publishedOf(record: ServiceRecord): ServiceRecord['published'] {
    return this.#precedence.granted(record).published
  }

  refused(record: ServiceRecord): readonly Refused[] {
    const strange = this.#strange.get(record.name) ?? []
    const rest = this.#precedence.refused(record).filter(one => !strange.some(other => other.what === one.what))
    return [...strange, ...rest]
  }

  /** @returns whether it is judged in another way than before */
  #judge(record: ServiceRecord, judge: (vip: IpAddress) => string): boolean {
    const before = this.#strange.get(record.name) ?? []
    const now = record.vips.flatMap(vip => {
      const reason = judge(vip)
      return reason === '' ? [] : [{ what: formatAddress(vip), reason }]
    })
    this.#strange.set(record.name, now)
    return now.map(one => one.what).join() !== before.map(one => one.what).join()
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
