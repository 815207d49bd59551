/**
 * Of two services with one address on their network, or with one published port, the older one has it, on every host.
 *
 * The agents' own transactions let no second one come about. Whoever writes into the registry directly does, and so does a backup that is
 * put back: then it must not depend on which of the two a host has heard of last.
 */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { portText, type ServiceRecord } from './record.ts'

/** What a service wants and does not get. */
export interface Refused {
  /** An address, or a port such as `8001/tcp`. */
  readonly what: string
  /** Such as that an older service has it. */
  readonly reason: string
}

export class Precedence {
  /** By what they want, then by name. */
  readonly #claims = new Map<string, Map<string, ServiceRecord>>()

  /** @param before the same service as it was known */
  replace(before: ServiceRecord | undefined, after: ServiceRecord | undefined): void {
    if (before !== undefined)
      for (const key of keysOf(before)) {
        this.#claims.get(key)?.delete(before.name)
        if (this.#claims.get(key)?.size === 0) this.#claims.delete(key)
      }
    if (after === undefined) return
    for (const key of keysOf(after)) {
      const claims = this.#claims.get(key) ?? new Map<string, ServiceRecord>()
      this.#claims.set(key, claims.set(after.name, after))
    }
  }

  /** Other services that want something of what this one wants. */
  rivalsOf(record: ServiceRecord): ReadonlySet<string> {
    const names = keysOf(record).flatMap(key => [...(this.#claims.get(key)?.keys() ?? [])])
    return new Set(names.filter(name => name !== record.name))
  }

  /** The service as far as what it wants is its own. */
  granted(record: ServiceRecord): ServiceRecord {
    const vips = record.vips.filter(vip => this.#ownerOf(vipKey(record, vip), record) === record.name)
    const published = record.published.filter(one => this.#ownerOf(portKey(one), record) === record.name)
    const isWhole = vips.length === record.vips.length && published.length === record.published.length
    return isWhole ? record : { ...record, vips, published }
  }

  refused(record: ServiceRecord): readonly Refused[] {
    const wanted = [
      ...record.vips.map(vip => ({ what: formatAddress(vip), key: vipKey(record, vip) })),
      ...record.published.map(one => ({ what: portText(one), key: portKey(one) }))
    ]
    return wanted.flatMap(({ what, key }) => {
      const owner = this.#ownerOf(key, record)
      return owner === record.name ? [] : [{ what, reason: `service ${JSON.stringify(owner)} has it` }]
    })
  }

  #ownerOf(key: string, record: ServiceRecord): string {
    let owner = record
    for (const other of this.#claims.get(key)?.values() ?? []) if (isBefore(other, owner)) owner = other
    return owner.name
  }
}

/** One that does not say since when it is there comes last; names are different in any case. */
function isBefore(a: ServiceRecord, b: ServiceRecord): boolean {
  const [of, ofOther] = [a, b].map(({ created, id, name }) => [created === '' ? '~' : created, id, name].join(' '))
  return (of ?? '') < (ofOther ?? '')
}

function keysOf(record: ServiceRecord): readonly string[] {
  return [...record.vips.map(vip => vipKey(record, vip)), ...record.published.map(portKey)]
}

function vipKey({ network }: ServiceRecord, vip: IpAddress): string {
  return `${network} ${formatAddress(vip)}`
}

/** Of every host, whatever the network. */
function portKey(one: ServiceRecord['published'][number]): string {
  return portText(one)
}
