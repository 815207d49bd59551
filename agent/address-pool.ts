/**
 * One pool of addresses that all hosts take from. The agent follows the whole pool and so knows what is free; a
 * transaction decides when two hosts want the same one.
 *
 * Where the search begins follows from the owner: hosts that take addresses at the same moment look in different places,
 * and an owner that comes back gets its former address if nobody else has.
 */
import { createHash } from 'node:crypto'
import { CniError } from '../lib/cni/error.ts'
import { attachmentText, isSameAttachment } from '../lib/daemon/attachment.ts'
import { addToAddress, compareAddresses, formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { rangeContains, rangeSize } from '../lib/ip/range.ts'
import type { AddressOwner } from './endpoint.ts'
import { addressKey, addressPrefix, type Following, type Registry } from './registry.ts'
import { ownerFromValue } from './registry-value.ts'

/** Addresses without a gap, all of which may be given away. */
export interface Span {
  readonly first: IpAddress
  readonly last: IpAddress
}

/** One address is wanted of each set. */
export interface AddressSet {
  /** Where it is configured: `ipam.ranges[0]`. */
  readonly path: string
  readonly spans: readonly Span[]
  /** The caller wants this one. */
  readonly wanted: IpAddress | undefined
}

/** The codes of host-local, which say the same. */
const NO_FREE_ADDRESS = 100
const ADDRESS_NOT_AVAILABLE = 101

/** Where to begin is computed with doubles; nobody needs more places than that. */
const MOST_PLACES = 2 ** 48

export class AddressPool {
  readonly #name: string
  readonly #registry: Registry
  readonly #following: Following
  readonly #onOwner: (ip: string, owner: AddressOwner) => void
  /** Everything that is taken, by address. */
  readonly #owners = new Map<string, AddressOwner>()
  /** Being taken at this moment by this agent, and for whom. */
  readonly #underway = new Map<string, AddressOwner>()

  /** @param onOwner hears who has taken an address */
  constructor(name: string, registry: Registry, onOwner: (ip: string, owner: AddressOwner) => void = () => undefined) {
    this.#name = name
    this.#onOwner = onOwner
    this.#registry = registry
    this.#following = registry.follow(addressPrefix(name), {
      reset: (entries, keepRest) => {
        if (!keepRest) this.#owners.clear()
        for (const { name: ip, value } of entries) this.#set(ip, value)
      },
      change: (ip, value) => {
        if (value === undefined) this.#owners.delete(ip)
        else this.#set(ip, value)
      },
      settled: () => undefined
    })
  }

  close(): void {
    this.#following.stop()
  }

  /**
   * Takes one address of each set, the same again for an owner that has one.
   *
   * @returns as texts, in the order of the sets; what was taken before a failure is given back
   */
  async take(sets: readonly AddressSet[], owner: AddressOwner, milliseconds: number): Promise<readonly string[]> {
    const deadline = Date.now() + milliseconds
    await this.#following.whenSynced(milliseconds)
    const taken: string[] = []
    try {
      for (const set of sets) taken.push(await this.#takeOf(set, owner, deadline))
      return taken
    } catch (error) {
      this.release(taken)
      throw error
    }
  }

  release(ips: readonly string[]): void {
    for (const ip of ips) this.#owners.delete(ip)
    this.#registry.forget(ips.map(ip => addressKey(this.#name, ip)))
  }

  ownerOf(ip: string): AddressOwner | undefined {
    return this.#owners.get(ip)
  }

  /** @returns taken and all addresses of a set, as of the last news */
  async usage(set: AddressSet, milliseconds: number): Promise<{ readonly taken: number; readonly size: number }> {
    await this.#following.whenSynced(milliseconds)
    let taken = 0
    for (const ip of this.#owners.keys()) if (isIn(set, ip)) taken += 1
    return { taken, size: sizeOf(set) }
  }

  async #takeOf(set: AddressSet, owner: AddressOwner, deadline: number): Promise<string> {
    for (const ip of this.#candidates(set, owner)) {
      if (Date.now() > deadline) break
      const rival = this.#underway.get(ip)
      if (rival !== undefined && set.wanted !== undefined) throw this.#takenBy(set, ip, rival)
      if (rival !== undefined) continue
      this.#underway.set(ip, owner)
      try {
        const other = await this.#registry.claim(addressKey(this.#name, ip), owner, deadline - Date.now())
        this.#owners.set(ip, other ?? owner)
        if (other === undefined) return ip
        if (isSameAttachment(other, owner)) throw elsewhere(other, ip)
        if (set.wanted !== undefined) throw this.#takenBy(set, ip, other)
      } finally {
        this.#underway.delete(ip)
      }
    }
    const size = sizeOf(set)
    throw new CniError(
      NO_FREE_ADDRESS,
      `allocate from ${set.path}: ${size} of ${size} addresses of pool ${JSON.stringify(this.#name)} are taken`,
      'remove containers, widen the range, or remove leases of containers that are gone with the verb GC'
    )
  }

  /** The addresses to try, best first. */
  *#candidates(set: AddressSet, owner: AddressOwner): Generator<string> {
    const held = [...this.#owners].find(([ip, one]) => isSameAttachment(one, owner) && isIn(set, ip))?.[0]
    // Somebody else may have had it a moment ago: the registry knows.
    if (set.wanted !== undefined) {
      const wanted = formatAddress(set.wanted)
      if (held !== undefined && held !== wanted) throw holdsOther(owner, held, wanted)
      yield wanted
      return
    }
    if (held !== undefined) yield held
    const size = sizeOf(set)
    const start = placeOf(`${this.#name} ${owner.network} ${owner.containerId} ${owner.ifName}`, size)
    for (let i = 0; i < size; i += 1) {
      const address = addressAt(set, (start + i) % size)
      if (address === undefined) return
      const ip = formatAddress(address)
      if (!this.#owners.has(ip)) yield ip
    }
  }

  #set(ip: string, value: string): void {
    const owner = ownerFromValue(value)
    this.#owners.set(ip, owner)
    const tell = this.#onOwner
    tell(ip, owner)
  }

  #takenBy(set: AddressSet, ip: string, other: AddressOwner): CniError {
    return new CniError(
      ADDRESS_NOT_AVAILABLE,
      `allocate ${JSON.stringify(ip)} from ${set.path}: container ${JSON.stringify(other.containerId)} on host ${JSON.stringify(other.host)} has it`,
      'remove that container, or ask for another address'
    )
  }
}

/** One container cannot be on two hosts; what looks so has one name for two. */
function elsewhere(other: AddressOwner, ip: string): CniError {
  const host = JSON.stringify(other.host)
  return new CniError(
    ADDRESS_NOT_AVAILABLE,
    `allocate an address for ${attachmentText(other)}: host ${host} has it with ${JSON.stringify(ip)}`,
    `detach it on host ${host} first, or give one of the two another id; if that host is gone for good, try again when its agent's lease has ended`
  )
}

function holdsOther(owner: AddressOwner, held: string, wanted: string): CniError {
  const who = `container ${JSON.stringify(owner.containerId)} interface ${JSON.stringify(owner.ifName)}`
  return new CniError(
    ADDRESS_NOT_AVAILABLE,
    `allocate ${JSON.stringify(wanted)}: ${who} holds ${JSON.stringify(held)} already`,
    'release it with DEL before asking for another address'
  )
}

function sizeOf(set: AddressSet): number {
  return Math.min(
    MOST_PLACES,
    set.spans.reduce((sum, span) => sum + rangeSize(span), 0)
  )
}

function isIn(set: AddressSet, ip: string): boolean {
  const address = parseAddress(ip)
  return address !== undefined && set.spans.some(span => rangeContains(span, address))
}

function addressAt(set: AddressSet, place: number): IpAddress | undefined {
  let rest = place
  for (const span of set.spans) {
    const size = rangeSize(span)
    if (rest < size) {
      const address = addToAddress(span.first, rest)
      return address !== undefined && compareAddresses(address, span.last) <= 0 ? address : undefined
    }
    rest -= size
  }
  return undefined
}

function placeOf(text: string, size: number): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) % Math.max(1, size)
}
