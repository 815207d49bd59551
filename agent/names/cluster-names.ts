/**
 * Names of networks that are on several hosts: each host writes those of its containers, and follows the others'.
 *
 *     names/<network>/<host>/<containerID>/<ifname>   what a container is called, and its addresses
 *     name-owners/<network>/<name>                    whose a container's own name is; aliases are anybody's
 */
import type { Attachment } from '../../lib/attachment.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import type { AddressOwner } from '../endpoint.ts'
import { type Entry, type Following, nameClaimKey, nameKey, namePrefix, type Registry } from '../registry.ts'
import { nameFromValue, nameValue } from '../registry-value.ts'
import type { Named, Zone } from './zone.ts'

export interface ClusterOptions {
  readonly host: string
  readonly registry: Registry
  readonly zone: Zone
}

/** A container's names on their way to the registry, or there. */
interface Published {
  readonly named: Named
  readonly done: Promise<void>
}

export class ClusterNames {
  readonly #options: ClusterOptions
  readonly #own = new Map<string, Published>()
  readonly #followed = new Map<string, Following>()
  /** Networks that the registry has told of. */
  readonly #known = new Set<string>()
  /** Networks that are followed whether or not a container is here. */
  readonly #held = new Set<string>()

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  /** What the registry is to have of this host's containers. */
  values(): ReadonlyMap<string, string> {
    const values = new Map<string, string>()
    for (const { named } of this.#own.values()) values.set(this.#keyOf(named), nameValue(named.record))
    return values
  }

  claims(): ReadonlyMap<string, AddressOwner> {
    const claims = new Map<string, AddressOwner>()
    for (const { named } of this.#own.values()) {
      const key = claimOf(named)
      if (key !== undefined && !claims.has(key)) claims.set(key, this.#ownerOf(named))
    }
    return claims
  }

  /**
   * Resolves when the other hosts can know it, and this one knows theirs. A registry that knows hosts only leaves names
   * on this one.
   *
   * @throws {CniError} code 7 when another container has the name; 11 without the registry
   */
  async publish(named: Named, milliseconds: number): Promise<void> {
    if (this.#options.registry.learns) return
    const key = attachmentKey(named)
    const known = this.#own.get(key)
    if (known?.named === named) return known.done
    const published = { named, done: this.#write(named, milliseconds) }
    this.#own.set(key, published)
    this.#follow(named.network)
    // It had another name before.
    if (known !== undefined) this.#forget(known.named)
    try {
      await published.done
    } catch (error) {
      if (this.#own.get(key) === published) this.#own.delete(key)
      this.#forget(named)
      throw error
    }
    // DEL came while it was written.
    if (this.#own.get(key) !== published) this.#forget(named)
  }

  /** Whether everybody on the network is known: before, nobody can be said to be gone. */
  isKnown(network: string): boolean {
    return !this.#followed.has(network) || this.#known.has(network)
  }

  /**
   * Who of other hosts is on a network that is not followed here, as the registry has it now; nobody of one that is.
   *
   * @throws {CniError} code 11 without the registry
   */
  async look(network: string, milliseconds: number): Promise<readonly Named[]> {
    const { registry } = this.#options
    if (this.#followed.has(network) || registry.learns) return []
    const { entries } = await registry.read(namePrefix(network), milliseconds)
    return entries.flatMap(({ name, value }) => this.#namedIn(network, name, value) ?? [])
  }

  /** Follows a network for others than containers here, or no longer. */
  hold(network: string, isHeld: boolean): void {
    if (isHeld === this.#held.has(network)) return
    if (isHeld) {
      this.#held.add(network)
      this.#follow(network)
      return
    }
    this.#held.delete(network)
    this.#unfollow(network)
  }

  withdraw(attachment: Attachment): void {
    const key = attachmentKey(attachment)
    const known = this.#own.get(key)
    if (known === undefined) return
    this.#own.delete(key)
    this.#forget(known.named)
  }

  async #write(named: Named, milliseconds: number): Promise<void> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    const claim = claimOf(named)
    const owner = claim === undefined ? undefined : await registry.claim(claim, this.#ownerOf(named), milliseconds)
    if (owner !== undefined) throw nameTaken(named, owner)
    await registry.put(this.#keyOf(named), nameValue(named.record), deadline - Date.now())
    await this.#followed.get(named.network)?.whenSynced(deadline - Date.now())
  }

  /** The own name stays while the container has it by another of its interfaces, or another attachment here has it. */
  #forget(named: Named): void {
    const present = this.#own.get(attachmentKey(named))
    const keys = present === undefined ? [this.#keyOf(named)] : []
    const claim = claimOf(named)
    const isHeld = [...this.#own.values()].some(one => claimOf(one.named) === claim)
    if (claim !== undefined && !isHeld) keys.push(claim)
    this.#options.registry.forget(keys)
    this.#unfollow(named.network)
  }

  #follow(network: string): void {
    const { zone } = this.#options
    if (this.#followed.has(network)) return
    const follower = {
      reset: (entries: readonly Entry[], keepRest: boolean) => {
        this.#known.add(network)
        this.#reset(network, entries, keepRest)
        zone.changed(network, [])
      },
      change: (name: string, value: string | undefined) => this.#change(network, name, value),
      settled: () => undefined
    }
    this.#followed.set(network, this.#options.registry.follow(namePrefix(network), follower))
  }

  /** Nobody here asks for names of a network without containers here. */
  #unfollow(network: string): void {
    if (this.#held.has(network) || [...this.#own.values()].some(one => one.named.network === network)) return
    this.#known.delete(network)
    this.#followed.get(network)?.stop()
    this.#followed.delete(network)
    this.#reset(network, [], false)
  }

  #reset(network: string, entries: readonly Entry[], keepRest: boolean): void {
    const { zone } = this.#options
    const kept = new Set(entries.map(entry => entry.name))
    for (const one of [...zone.all()]) {
      const isOther = one.network === network && one.host !== ''
      if (isOther && !keepRest && !kept.has(`${one.host}/${one.containerId}/${one.ifName}`)) zone.delete(one)
    }
    for (const entry of entries) this.#change(network, entry.name, entry.value)
  }

  #change(network: string, name: string, value: string | undefined): void {
    const { zone } = this.#options
    const named = this.#namedIn(network, name, value ?? '')
    if (named === undefined) return
    if (value === undefined) zone.delete(named)
    else zone.set(named)
  }

  /** @returns another host's container; undefined where the key is not one's */
  #namedIn(network: string, name: string, value: string): Named | undefined {
    const [host = '', containerId = '', ifName = '', ...rest] = name.split('/')
    const isKey = host !== '' && containerId !== '' && ifName !== '' && rest.length === 0
    if (!isKey || host === this.#options.host) return undefined
    return { network, containerId, ifName, host, record: { ...NOTHING_LOCAL, ...nameFromValue(value) } }
  }

  #keyOf(named: Named): string {
    return nameKey(this.#options.host, named)
  }

  /** A container has its name by whichever of its interfaces. */
  #ownerOf({ network, containerId }: Attachment): AddressOwner {
    return { host: this.#options.host, network, containerId, ifName: '' }
  }
}

/** What only a container's own host knows of it. */
export const NOTHING_LOCAL = {
  netns: '',
  netnsId: '',
  gateways: [],
  links: [],
  upstreams: [],
  isInternal: false,
  isCluster: true
}

/** undefined for a container without a name. */
function claimOf({ network, record }: Named): string | undefined {
  const [name] = record.names
  return name === undefined ? undefined : nameClaimKey(network, name)
}

function nameTaken({ network, record }: Named, owner: AddressOwner): CniError {
  const [container, host] = [owner.containerId, owner.host].map(text => JSON.stringify(text))
  return new CniError(
    INVALID_CONFIG,
    `name the container ${JSON.stringify(record.names[0] ?? '')} on network ${JSON.stringify(network)}: container ${container} on host ${host} has this name`,
    'give one of the two another name; what several containers share can be an alias'
  )
}
