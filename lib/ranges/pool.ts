/**
 * What a network has to give: its range sets, and, where addresses may be asked for from the whole subnet, what of the
 * subnets lies outside of the ranges.
 *
 *     subnet 10.1.0.0/24, rangeStart .128      a choice is from .128 on
 *     requestedFrom "subnet"                   a request may be for .5, too
 *
 * An address belongs to one set alone, whoever asks: two sets may have ranges of one subnet.
 */
import type { Request } from '../cni/plugin.ts'
import type { Section } from '../config/section.ts'
import { addressesEqual, type IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'
import { type RangeSet, rangeOf, spanOf, wholeSubnets } from './range-set.ts'
import { readRangeSets } from './range-sets.ts'

/** One address of the answer, as long as its subnet. */
export interface Grant {
  readonly address: IpPrefix
  readonly gateway: IpAddress | undefined
}

/** @param ipam the section `ipam` of the request's configuration, with `requestedFrom` */
export function readPool(request: Request, ipam: Section): Pool {
  const sets = readRangeSets(request, ipam)
  return new Pool(sets, ipam.oneOf('requestedFrom', ['range', 'subnet']) === 'subnet')
}

export class Pool {
  readonly sets: readonly RangeSet[]
  /** Beside each set; none where only addresses of the ranges can be asked for. */
  readonly #subnets: readonly RangeSet[]

  /** @param isWhole whether addresses of a subnet outside of its range can be asked for */
  constructor(sets: readonly RangeSet[], isWhole: boolean) {
    this.sets = sets
    this.#subnets = isWhole ? sets.map(wholeSubnets) : []
  }

  /** What may be asked for of each set. */
  askable(): readonly RangeSet[] {
    return this.#subnets.length > 0 ? this.#subnets : this.sets
  }

  /** The number of the set that the address belongs to, be it to be given away or not; -1 for a strange one. */
  setOf(address: IpAddress): number {
    const inRange = this.sets.findIndex(set => rangeOf(set, address) !== undefined)
    return inRange >= 0 ? inRange : this.#subnets.findIndex(set => rangeOf(set, address) !== undefined)
  }

  /** Whether it is one that might be chosen. */
  isInRange(address: IpAddress): boolean {
    return this.sets.some(set => rangeOf(set, address) !== undefined)
  }

  /** Those that belong to the set of that number and can be given away. */
  ofSet(index: number, addresses: readonly IpAddress[]): IpAddress[] {
    return addresses.filter(address => this.setOf(address) === index && this.canGive(address))
  }

  /** Whether it is neither a gateway's nor excluded nor strange. */
  canGive(address: IpAddress): boolean {
    return this.askable().some(set => spanOf(set, address) !== undefined)
  }

  isGateway(address: IpAddress): boolean {
    return this.sets.some(set =>
      set.ranges.some(range => range.gateway !== undefined && addressesEqual(range.gateway, address))
    )
  }

  /** The address as a container gets it. */
  grantOf(address: IpAddress): Grant {
    const index = this.setOf(address)
    const set = this.sets[index]
    const subnets = this.#subnets[index]
    const inRange = set === undefined ? undefined : rangeOf(set, address)
    const range = inRange ?? (subnets === undefined ? undefined : rangeOf(subnets, address))
    return { address: { address, length: range === undefined ? 0 : range.subnet.length }, gateway: range?.gateway }
  }
}
