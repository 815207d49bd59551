/**
 * Who is called what, on which network. Names are looked up among those of the networks that the asker is on, so that a
 * container learns nothing of others.
 */
import type { Attachment } from '../../lib/attachment.ts'
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { NameRecord } from '../../lib/names/record.ts'

/** A container on a network, here or on another host. */
export interface Named extends Attachment {
  readonly record: NameRecord
  /** The host that it is on; '' for this one. */
  readonly host: string
}

/** Which container's, where: two hosts may have the same identifiers. */
type Place = Attachment & Pick<Named, 'host'>

/**
 * What is known of a name: its addresses; `[]` when the name is there without any; undefined when nobody is called that.
 * `isOurs` says that nobody else can know more, because the name is below a network's or a domain of ours.
 */
export interface Found {
  readonly addresses: readonly IpAddress[] | undefined
  readonly isOurs: boolean
}

/** A name that stands for the containers with an alias. */
export interface ServiceName {
  readonly alias: string
  /** Its own; none: it stands for those of the containers. */
  readonly addresses: readonly IpAddress[]
}

const TASKS = 'tasks.'
const NOTHING: Found = { addresses: undefined, isOurs: false }

export class Zone {
  readonly #all = new Map<string, Named>()
  /** Network, then name, then attachment. */
  readonly #byName = new Map<string, Map<string, Map<string, Named>>>()
  /** Network, then address, then attachment. */
  readonly #byAddress = new Map<string, Map<string, Named>>()
  /** Network, then name. */
  readonly #services = new Map<string, Map<string, ServiceName>>()
  /** Hears of each change on a network: of whom, by all names; `[]` when all that are there are known now. */
  changed: (network: string, names: readonly string[]) => void = () => undefined
  /** Hears when a network gets its first service, and when its last one goes. */
  served: (network: string, isServed: boolean) => void = () => undefined
  /** Whether the host has an address. */
  isOwnAddress: (address: string) => boolean = () => false
  #revision = 0

  /** Another one after each change: what was answered before may be wrong. */
  get revision(): number {
    return this.#revision
  }

  get size(): number {
    return this.#all.size
  }

  all(): IterableIterator<Named> {
    return this.#all.values()
  }

  /** Networks that have services. */
  servedNetworks(): readonly string[] {
    return [...this.#services.keys()]
  }

  /** One of this host's. */
  get(attachment: Attachment): Named | undefined {
    return this.#all.get(keyOf({ ...attachment, host: '' }))
  }

  /** Adds an attachment, or replaces what was known of it. */
  set(named: Named): void {
    this.delete(named)
    const key = keyOf(named)
    this.#all.set(key, named)
    const names = childOf(this.#byName, named.network)
    for (const name of named.record.names) childOf(names, name).set(key, named)
    const addresses = childOf(this.#byAddress, named.network)
    for (const address of named.record.addresses) addresses.set(formatAddress(address), named)
    this.#change(named)
  }

  /** Whoever is called so on a network. */
  bearersOf(network: string, name: string): readonly Named[] {
    return [...(this.#byName.get(network)?.get(name)?.values() ?? [])]
  }

  setService(network: string, name: string, service: ServiceName): void {
    const services = childOf(this.#services, network)
    services.set(name, service)
    this.#revision += 1
    if (services.size === 1) this.served(network, true)
  }

  deleteService(network: string, name: string): void {
    const services = this.#services.get(network)
    services?.delete(name)
    this.#revision += 1
    if (services?.size !== 0) return
    this.#services.delete(network)
    this.served(network, false)
  }

  delete(place: Place): void {
    const key = keyOf(place)
    const known = this.#all.get(key)
    if (known === undefined) return
    this.#all.delete(key)
    const names = this.#byName.get(known.network)
    for (const name of known.record.names) {
      const bearers = names?.get(name)
      bearers?.delete(key)
      if (bearers?.size === 0) names?.delete(name)
    }
    if (names?.size === 0) this.#byName.delete(known.network)
    const addresses = this.#byAddress.get(known.network)
    for (const address of known.record.addresses) {
      // It may be another one's by now.
      if (addresses?.get(formatAddress(address)) === known) addresses.delete(formatAddress(address))
    }
    if (addresses?.size === 0) this.#byAddress.delete(known.network)
    this.#change(known)
  }

  #change({ network, record }: Named): void {
    this.#revision += 1
    this.changed(network, record.names)
  }

  /**
   * Looks a name up as a container asks for it: `web`, `web.blue` (of network blue alone), `web.dns.example` where that is
   * a network's domain, or by a link of its own. A service is found by its address; behind `tasks.`, as everybody else, by its
   * containers.
   *
   * @param asker its attachments: it learns of their networks
   */
  find(asked: string, asker: readonly Named[]): Found {
    const name = asked.startsWith(TASKS) ? asked.slice(TASKS.length) : asked
    // A container may be on one network with several interfaces: what it hears of twice is told once.
    const bearers = new Set<Named>()
    const services = new Set<ServiceName>()
    let isOurs = asked.startsWith(TASKS)
    for (const own of asker) {
      for (const part of partsOf(name, own)) {
        isOurs ||= part !== name
        // Its own words for others come first: nobody else uses them.
        const target = own.record.links.find(link => link.alias === part)?.target ?? part
        const service = this.#services.get(own.network)?.get(target)
        if (service !== undefined) services.add(service)
        const isOfContainers = service === undefined || service.addresses.length === 0 || name !== asked
        if (!isOfContainers) continue
        for (const bearer of this.bearersOf(own.network, service?.alias ?? target)) bearers.add(bearer)
      }
    }
    if (bearers.size + services.size === 0) return isOurs ? { addresses: undefined, isOurs } : NOTHING
    const own = name === asked ? [...services].flatMap(service => service.addresses) : []
    return { addresses: [...own, ...[...bearers].flatMap(bearer => bearer.record.addresses)], isOurs: true }
  }

  /** By which of its gateways a container reaches the host; undefined when by none. */
  hostAddresses(asker: readonly Named[]): readonly IpAddress[] | undefined {
    const gateways = new Map<string, IpAddress>()
    for (const { record } of asker)
      if (!record.isInternal) for (const one of record.gateways) gateways.set(formatAddress(one), one)
    const own = [...gateways].filter(([text]) => this.isOwnAddress(text)).map(([, address]) => address)
    return own.length === 0 ? undefined : own
  }

  /** The name of an address on one of the asker's networks. */
  nameOf(address: IpAddress, asker: readonly Named[]): string | undefined {
    for (const own of asker) {
      const bearer = this.#byAddress.get(own.network)?.get(formatAddress(address))
      const name = bearer?.record.names[0] ?? this.#serviceAt(own.network, address)
      if (name !== undefined)
        return `${name}.${own.record.domain === '' ? own.network.toLowerCase() : own.record.domain}`
    }
    return undefined
  }

  #serviceAt(network: string, address: IpAddress): string | undefined {
    for (const [name, { addresses }] of this.#services.get(network) ?? [])
      if (addresses.some(one => addressesEqual(one, address))) return name
    return undefined
  }
}

/** The names on the asker's network that a name may stand for: itself, and what stands before the network or its domain. */
function partsOf(name: string, own: Named): readonly string[] {
  const parts = [name]
  for (const suffix of [own.network.toLowerCase(), own.record.domain]) {
    if (suffix !== '' && name.endsWith(`.${suffix}`)) parts.push(name.slice(0, -suffix.length - 1))
  }
  return parts
}

function keyOf(place: Place): string {
  return `${place.host}/${attachmentKey(place)}`
}

function childOf<T>(parent: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const child = parent.get(key)
  if (child !== undefined) return child
  const made = new Map<string, T>()
  parent.set(key, made)
  return made
}
