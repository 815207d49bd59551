/** The addresses of pools that attachments of this host hold: taken and given back for plugins, kept in files. */
import type { Attachment } from '../lib/attachment.ts'
import { isSameAttachment } from '../lib/daemon/attachment.ts'
import { markHeld, syncHeld, takeReleased, unmarkHeld } from '../lib/daemon/released.ts'
import { AddressPool, type AddressSet } from './address-pool.ts'
import type { AddressOwner, HeldAddresses } from './endpoint.ts'
import type { LocalStore } from './local-store.ts'
import { addressKey, type Registry } from './registry.ts'
import { ownerFromValue } from './registry-value.ts'

/** What taking part in a network needs besides its tunnel. */
export interface HeldPlace {
  /** Of ipam cluster: one address of each set becomes this host's own. */
  readonly pool: string
  readonly sets: readonly AddressSet[]
  /** With prefix lengths. */
  readonly gateways: readonly string[]
  /** Where plugins keep journal and locks. */
  readonly stateDir: string
}

export interface HostAddressesOptions {
  readonly host: string
  /** Where plugins ask, and beside which they leave notes when nobody answers. */
  readonly socket: string
  readonly store: LocalStore
  readonly registry: Registry
  /** Another host has an address of ours. */
  readonly onConflict: (key: string, owner: AddressOwner) => void
}

/** How full a set of addresses is. */
export interface SetUsage {
  readonly path: string
  readonly taken: number
  readonly size: number
}

export class HostAddresses {
  readonly #options: HostAddressesOptions
  readonly #pools = new Map<string, AddressPool>()
  /** What was asked of each pool last. */
  readonly #sets = new Map<string, readonly AddressSet[]>()

  constructor(options: HostAddressesOptions) {
    this.#options = options
  }

  start(): void {
    syncHeld(this.#options.socket, [...this.#options.store.addresses.values()])
    this.takeReleased()
  }

  /** What plugins gave back while no agent ran. */
  takeReleased(): void {
    for (const attachment of takeReleased(this.#options.socket)) this.release(attachment)
  }

  /** @returns one address of each set @throws {CniError} */
  async take(
    attachment: Attachment,
    name: string,
    sets: readonly AddressSet[],
    milliseconds: number
  ): Promise<readonly string[]> {
    const { host, store, socket } = this.#options
    this.takeReleased()
    this.#sets.set(name, sets)
    const { network, containerId, ifName } = attachment
    const ips = await this.#pool(name).take(sets, { host, network, containerId, ifName }, milliseconds)
    const before = store.addressesOf(attachment).find(held => held.pool === name)
    markHeld(socket, attachment)
    store.putAddresses({
      network,
      containerId,
      ifName,
      pool: name,
      ips: [...new Set([...(before?.ips ?? []), ...ips])]
    })
    return ips
  }

  /** For `own` one address more of each set that `attachment` has one of. @returns none where it has none of a pool */
  async takeAlike(attachment: Attachment, own: Attachment, milliseconds: number): Promise<readonly string[]> {
    const pool = this.#options.store.addressesOf(attachment)[0]?.pool ?? ''
    const sets = this.#sets.get(pool)?.map(set => ({ ...set, wanted: undefined }))
    return sets === undefined ? [] : this.take(own, pool, sets, milliseconds)
  }

  release(attachment: Attachment): void {
    for (const held of this.#options.store.addressesOf(attachment)) this.#release(held)
  }

  /** Resolves when the other hosts can have what was released, or after so long. */
  released(milliseconds: number): Promise<void> {
    return this.#options.registry.forgotten(milliseconds)
  }

  collect(isStray: (one: Attachment) => boolean): void {
    for (const held of [...this.#options.store.addresses.values()]) if (isStray(held)) this.#release(held)
  }

  /** Those that the registry, too, says it holds. @throws {CniError} code 11 while the registry is away */
  async heldBy(attachment: Attachment, milliseconds: number): Promise<readonly string[]> {
    const { host, registry, store } = this.#options
    const ips: string[] = []
    for (const held of store.addressesOf(attachment)) {
      for (const ip of held.ips) {
        const owner = ownerFromValue((await registry.value(addressKey(held.pool, ip), milliseconds)) ?? '')
        if (owner.host === host && isSameAttachment(owner, attachment)) ips.push(ip)
      }
    }
    return ips
  }

  /** @returns how many addresses of each set are taken, on all hosts */
  async usage(name: string, sets: readonly AddressSet[], milliseconds: number): Promise<readonly SetUsage[]> {
    const counted: SetUsage[] = []
    for (const set of sets) counted.push({ path: set.path, ...(await this.#pool(name).usage(set, milliseconds)) })
    return counted
  }

  #release(held: HeldAddresses): void {
    const { store, socket } = this.#options
    store.removeAddresses(held)
    if (store.addressesOf(held).length === 0) unmarkHeld(socket, held)
    this.#pool(held.pool).release(held.ips)
  }

  #pool(name: string): AddressPool {
    const pool = this.#pools.get(name) ?? new AddressPool(name, this.#options.registry, this.#judge(name))
    this.#pools.set(name, pool)
    return pool
  }

  #judge(pool: string): (ip: string, owner: AddressOwner) => void {
    const { host, store, onConflict } = this.#options
    return (ip, owner) => {
      const isHeld = [...store.addresses.values()].some(held => held.pool === pool && held.ips.includes(ip))
      if (isHeld && owner.host !== host) onConflict(addressKey(pool, ip), owner)
    }
  }
}
