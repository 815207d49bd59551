/**
 * Addresses of services as leases of host-local on this host. The registry says where they are; what it says is compared with
 * this host's own configuration and never used: another host could have any directory be made and written to.
 */
import type { Attachment } from '../../lib/attachment.ts'
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { type RangeSet, spanOf } from '../../lib/ranges/range-set.ts'
import { type Claim, LeaseDirectory } from '../../lib/state/leases.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { ServiceRecord } from './record.ts'
import { serviceNetwork } from './service-network.ts'

/** In the name of an attachment that no runtime has. */
export function leaseOwner(network: string, name: string): Attachment {
  return { network, containerId: `service-${name}`, ifName: 'vip' }
}

/** The search for containers' addresses goes on from where it is. */
export function claimsOf(vips: readonly IpAddress[]): readonly Claim[] {
  return vips.map(address => ({ address, set: -1 }))
}

export class ServiceLeases {
  readonly #host: string
  readonly #confDir: string
  /** Networks whose leases are where they are said to be, and what they give; by network and directory. */
  readonly #known = new Map<string, readonly RangeSet[]>()

  /** @param confDir where this host's runtimes look for networks */
  constructor(host: string, confDir: string) {
    this.#host = host
    this.#confDir = confDir
  }

  /**
   * Takes the leases of a service's addresses again: a runtime's garbage collection, which knows of no services, may have
   * removed them, and what was leased before this boot counts as dead.
   *
   * @returns what has become of an address meanwhile, or is wrong with the record; '' when all is well
   */
  keep(record: ServiceRecord): string {
    const { name, network, leases, vips } = record
    if (!this.#isHere(record) || vips.length === 0) return ''
    const problem = this.#problemOf(record)
    if (problem !== '') return `keep the address of service ${JSON.stringify(name)}: ${problem}`
    const directory = new LeaseDirectory(leases, network)
    const owner = leaseOwner(network, name)
    return directory.locked(() => {
      const owners = vips.map(vip => directory.find(vip)?.owner)
      const other = owners.find(one => one !== undefined && one.containerId !== owner.containerId)
      if (other !== undefined)
        return `service ${JSON.stringify(name)}: container ${JSON.stringify(other.containerId)} has its address, too: make one of the two anew`
      const held = vips.filter((_, i) => owners[i] !== undefined)
      // Those that it has are given anew, too: in this boot.
      directory.claim(owner, held, claimsOf(vips.filter((_, i) => owners[i] === undefined)))
      return ''
    })
  }

  /** Gives them back, where they are this host's. */
  release(record: ServiceRecord): void {
    const { name, network, leases } = record
    if (!this.#isHere(record) || this.#problemOf(record) !== '') return
    const directory = new LeaseDirectory(leases, network)
    if (directory.exists()) directory.locked(() => directory.release(leaseOwner(network, name)))
  }

  #isHere({ leases, leaseHost }: ServiceRecord): boolean {
    return leases !== '' && leaseHost === this.#host
  }

  #problemOf({ network, leases, vips }: ServiceRecord): string {
    const where = `${network} ${leases}`
    try {
      const known = this.#known.get(where) ?? this.#setsOf(network, leases)
      this.#known.set(where, known)
      const strange = vips.find(vip => !known.some(set => spanOf(set, vip) !== undefined))
      if (strange === undefined) return ''
      return `network ${JSON.stringify(network)} does not give ${formatAddress(strange)}`
    } catch (error) {
      return messageOf(error)
    }
  }

  /** @throws {Error} where the network's leases are elsewhere */
  #setsOf(network: string, leases: string): readonly RangeSet[] {
    const own = serviceNetwork(this.#confDir, network)
    if (own.leases === leases) return own.sets
    throw new Error(
      `it is said to be leased in ${JSON.stringify(leases)}, and network ${JSON.stringify(network)} has its leases in ${JSON.stringify(own.leases)}`
    )
  }
}
