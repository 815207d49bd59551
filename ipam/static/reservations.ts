/**
 * The addresses of a network that gives them out by name, in the leases of another network that chooses them:
 *
 *     <dataDir>/<leasesOf>/10.1.0.5                                 "static <network> <containerID> <ifname> <boot id>"
 *     <dataDir>/.patchbay/.static/<network>/<containerID>:<ifname>  "<boot id> 10.1.0.5": what DEL is to give back
 *
 * The second is written first and removed last.
 */
import { type Attachment, isAttachmentIn, isSameAttachment } from '../../lib/attachment.ts'
import { CniError } from '../../lib/cni/error.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { ADDRESS_NOT_AVAILABLE } from '../../lib/ranges/refusals.ts'
import { Boot } from '../../lib/state/boot.ts'
import { OwnerFiles } from '../../lib/state/lease-owners.ts'
import { type Lease, LeaseDirectory } from '../../lib/state/leases.ts'
import { readReservation, reservationText } from '../../lib/state/reservation.ts'

export class Reservations {
  readonly #leases: LeaseDirectory
  readonly #owners: OwnerFiles
  readonly #boot = new Boot()
  readonly #network: string

  /** @param pool the network in whose leases they are; `network` the one that gives them out */
  constructor(dataDir: string, pool: string, network: string) {
    this.#leases = new LeaseDirectory(dataDir, pool)
    this.#owners = new OwnerFiles(`${dataDir}/.patchbay/.static/${network}`)
    this.#network = network
  }

  /** @throws CniError code 101 when another has one of them; then nothing has been taken */
  take(owner: Attachment, addresses: readonly IpAddress[]): void {
    this.#leases.locked(() => {
      const missing = addresses.filter(address => !this.#makeFree(owner, address))
      if (missing.length > 0) this.#write(owner, addresses, missing)
      return true
    })
  }

  /** Those of the addresses that the owner has. */
  heldOf(owner: Attachment, addresses: readonly IpAddress[]): readonly IpAddress[] {
    return addresses.filter(address => this.#isOf(owner, this.#leases.find(address)))
  }

  release(owner: Attachment): void {
    if (!this.#leases.exists()) return
    const addresses = this.#owners.addressesOf(owner, this.#owners.read(owner))
    this.#leases.locked(() => {
      const leases: Lease[] = []
      for (const text of addresses) {
        const address = parseAddress(text)
        const lease = address === undefined ? undefined : this.#leases.find(address)
        if (lease !== undefined && this.#isOf(owner, lease)) leases.push(lease)
      }
      this.#leases.remove(leases)
      this.#owners.remove(owner)
      return true
    })
  }

  /** Gives back what this network's attachments that are not listed have. */
  collect(keep: readonly Attachment[]): void {
    if (!this.#leases.exists()) return
    this.#leases.locked(() => {
      for (const lease of this.#leases.list()) {
        const owner = readReservation(lease.owner?.containerId ?? '')?.owner
        if (owner === undefined || owner.network !== this.#network || isAttachmentIn(owner, keep)) continue
        this.#leases.remove([lease])
        this.#owners.remove(owner)
      }
      return true
    })
  }

  /** @returns whether the owner has it already; if not, nobody has it any more */
  #makeFree(owner: Attachment, address: IpAddress): boolean {
    const lease = this.#leases.find(address)
    if (lease === undefined) return false
    if (this.#isOf(owner, lease)) return true
    if (lease.owner !== undefined && !this.#leases.isBeforeBoot(lease)) throw taken(this.#leases.path(), lease)
    this.#leases.remove([lease])
    return false
  }

  #write(owner: Attachment, addresses: readonly IpAddress[], missing: readonly IpAddress[]): void {
    const boot = this.#boot.id()
    const former = this.#owners.addressesOf(owner, this.#owners.read(owner))
    this.#owners.makeDirectory()
    const all = new Set<string>(former)
    for (const address of addresses) all.add(formatAddress(address))
    this.#owners.write(owner, boot, [...all])
    const made: IpAddress[] = []
    try {
      for (const address of missing) {
        this.#leases.reserve(address, reservationText({ owner, boot }))
        made.push(address)
      }
    } catch (error) {
      this.#leases.remove(made.map(address => ({ address, owner: undefined })))
      if (former.length === 0) this.#owners.remove(owner)
      throw error
    }
  }

  #isOf(owner: Attachment, lease: Lease | undefined): boolean {
    const reserved = readReservation(lease?.owner?.containerId ?? '')
    return reserved !== undefined && isSameAttachment(reserved.owner, owner)
  }
}

function taken(path: string, { address, owner }: Lease): CniError {
  const reserved = readReservation(owner?.containerId ?? '')?.owner
  const holder = reserved ?? owner
  const network = reserved === undefined ? '' : ` on network ${JSON.stringify(reserved.network)}`
  const text = formatAddress(address)
  return new CniError(
    ADDRESS_NOT_AVAILABLE,
    `give out ${JSON.stringify(text)}: it is taken by container ${JSON.stringify(holder?.containerId ?? '')} interface ${JSON.stringify(holder?.ifName ?? '')}${network}`,
    `its lease is ${JSON.stringify(`${path}/${text}`)}: remove that container, or give out another address`
  )
}
