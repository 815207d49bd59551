/**
 * Address leases on disk, in the reference host-local's format, so that either implementation takes over a live host:
 *
 *     <dataDir>/<network>/lock                  flock around every change
 *     <dataDir>/<network>/10.1.0.2              "<containerID>\r\n<ifname>" (older: the id alone)
 *     <dataDir>/<network>/last_reserved_ip.0    "10.1.0.2": where the search in set 0 goes on
 *
 * The reference reads every one of these files to learn what an owner holds; here lease-owners.ts knows.
 */
import { existsSync } from 'node:fs'
import { type Attachment, isSameAttachment } from '../attachment.ts'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { errnoOf, SysError } from '../sys/errors.ts'
import { withLock } from '../sys/file-lock.ts'
import { fileStatus } from '../sys/file-status.ts'
import {
  createExclusive,
  ensureDirectory,
  listDirectory,
  modifiedAt,
  overwrite,
  readText,
  removeFile,
  setModified
} from '../sys/files.ts'
import { Boot } from './boot.ts'
import { type OwnerFile, OwnerFiles } from './lease-owners.ts'
import { readReservation } from './reservation.ts'

/** `owner` is undefined in a file that its maker never finished: nobody's lease, once its maker lost the lock. */
export interface Lease {
  readonly address: IpAddress
  readonly owner: Attachment | undefined
}

/** An address to lease, found in the range set of that number; -1 for one of no range, from which no search goes on. */
export interface Claim {
  readonly address: IpAddress
  readonly set: number
}

interface Holding {
  readonly holder: Attachment
  readonly addresses: readonly IpAddress[]
  /** Whether the owner that was asked about has a file of its own. */
  readonly hasFile: boolean
}

const LOCK = 'lock'
const LAST_RESERVED = 'last_reserved_ip.'

/** The leases of one network, whose owners are attachments of it. Everything but `path`, `exists` and `names` must run inside of `locked`. */
export class LeaseDirectory {
  readonly #network: string
  readonly #path: string
  readonly #owners: OwnerFiles
  readonly #boot = new Boot()
  /** Owner files name every lease that there is. */
  #isCovered = false

  constructor(dataDir: string, network: string) {
    this.#network = network
    this.#path = `${dataDir}/${network}`
    this.#owners = new OwnerFiles(`${dataDir}/.patchbay/${network}`)
  }

  path(): string {
    return this.#path
  }

  /** Whether the network has ever had a lease. */
  exists(): boolean {
    return existsSync(this.#path)
  }

  /** Runs `work` while no other process, ours or the reference's, changes the leases. Makes the directories. */
  locked<T>(work: () => T): T {
    const lock = `${this.#path}/${LOCK}`
    if (fileStatus(lock, false) === undefined) ensureDirectory(this.#path, 0o755)
    return withLock(lock, 0o600, () => {
      const wasSealed = this.#owners.open(this.#path, this.#boot.id())
      this.#isCovered = wasSealed
      try {
        return work()
      } finally {
        if (this.#isCovered) this.#owners.seal(this.#path, this.#boot.id(), wasSealed)
      }
    })
  }

  /** Names of all leases, with one look into the directory; none when the network has never been used. */
  names(): Set<string> {
    const names = new Set<string>()
    for (const name of listDirectory(this.#path)) if (isLeaseName(name)) names.add(name)
    return names
  }

  /** The address that was last given away from that set. */
  lastReserved(set: number): IpAddress | undefined {
    return parseAddress(readText(`${this.#path}/${LAST_RESERVED}${String(set)}`) ?? '')
  }

  /** What lies at an address: undefined when it is free. */
  find(address: IpAddress): Lease | undefined {
    const text = readLease(this.#leasePath(address))
    return text === undefined ? undefined : { address, owner: ownerOf(this.#network, text) }
  }

  /** The addresses that this owner holds; those of the oldest format, known by container alone, when there are none. */
  heldBy(owner: Attachment): readonly IpAddress[] {
    return this.#holding(owner).addresses
  }

  /**
   * Leases every claim to the owner, or none of them. `held` is what the owner has already and keeps: those leases
   * count as given anew, in this boot.
   *
   * @throws {SysError} ENOSPC and other failures of the file system; EEXIST when somebody has an address, which only
   * happens to callers that did not ask `find` first
   */
  claim(owner: Attachment, held: readonly IpAddress[], claims: readonly Claim[]): void {
    this.#cover()
    const now = Math.floor(Date.now() / 1000)
    const addresses = held.concat(claims.map(claim => claim.address))
    const made: IpAddress[] = []
    try {
      this.#owners.write(owner, this.#boot.id(), addresses.map(formatAddress))
      for (const address of held) setModified(this.#leasePath(address), now)
      for (const { address, set } of claims) {
        if (set < 0) continue
        overwrite(`${this.#path}/${LAST_RESERVED}${String(set)}`, formatAddress(address), 0o600)
      }
      for (const { address } of claims) {
        this.#create(address, `${owner.containerId}\r\n${owner.ifName}`)
        made.push(address)
      }
    } catch (error) {
      for (const address of made) removeFile(this.#leasePath(address))
      if (held.length === 0) this.#owners.remove(owner)
      throw error
    }
  }

  /** Keeps a free address from being given away, for somebody who is no attachment of this network. */
  reserve(address: IpAddress, text: string): void {
    this.#cover()
    this.#create(address, text)
  }

  /** Gives back everything that the owner holds. */
  release(owner: Attachment): void {
    const { holder, addresses, hasFile } = this.#holding(owner)
    for (const address of addresses) removeFile(this.#leasePath(address))
    if (hasFile) this.#owners.remove(owner)
    if (holder.ifName !== owner.ifName) this.#owners.remove(holder)
  }

  /** Reads every lease. */
  list(): readonly Lease[] {
    const leases: Lease[] = []
    for (const name of listDirectory(this.#path)) {
      const address = isLeaseName(name) ? parseAddress(name) : undefined
      const lease = address === undefined ? undefined : this.find(address)
      if (lease !== undefined) leases.push(lease)
      // Under the lock nobody is between writing and linking: this is what a kill left.
      if (name.length > 4 && name.startsWith('.') && name.endsWith('.tmp')) removeFile(`${this.#path}/${name}`)
    }
    return leases
  }

  /** Removes owner files whose owners hold nothing: an ADD was killed before it made the lease. */
  forgetOwners(): void {
    this.#isCovered = false
    this.#cover()
  }

  /** Removes these leases, whoever holds them. */
  remove(leases: readonly Lease[]): void {
    this.#cover()
    for (const lease of leases) removeFile(this.#leasePath(lease.address))
    for (const { owner } of leases) {
      if (owner === undefined) continue
      const known = this.#owners.addressesOf(owner, this.#owners.read(owner))
      if (this.#verified(owner, known).length === 0) this.#owners.remove(owner)
    }
  }

  /**
   * Whether the lease was given before this machine was started, which its owner did not survive. Certain, or no:
   *
   * - The owner file names the boot. (The time is asked as well: the reference may have given the same address to the
   *   same owner again.)
   * - Leases of the reference have only their time.
   * - Leases of the oldest format are often made by hand to keep an address from being given away: never. Reservations
   *   for attachments of other networks name the boot themselves.
   */
  isBeforeBoot(lease: Lease): boolean {
    const owner = lease.owner
    const reserved = readReservation(owner?.containerId ?? '')
    if (reserved !== undefined) return this.#boot.id() !== '' && reserved.boot !== this.#boot.id()
    const modified = modifiedAt(this.#leasePath(lease.address))
    if (owner === undefined || owner.ifName === '' || modified === undefined || modified >= this.#boot.start())
      return false
    const file = this.#owners.read(owner)
    const name = formatAddress(lease.address)
    if (file !== undefined && file.addresses.some(one => one === name)) {
      return this.#boot.id() !== '' && file.boot !== this.#boot.id()
    }
    return this.#boot.isSurelyAfter(modified)
  }

  #create(address: IpAddress, text: string): void {
    const path = this.#leasePath(address)
    // Not made durable: what a power cut may take is a lease whose container it ends as well.
    if (createExclusive(path, text, 0o600, false)) return
    const found = this.find(address)
    if (found !== undefined && found.owner === undefined) {
      removeFile(path)
      if (createExclusive(path, text, 0o600, false)) return
    }
    throw new SysError('create lease', JSON.stringify(path), 'EEXIST', '')
  }

  #leasePath(address: IpAddress): string {
    return `${this.#path}/${formatAddress(address)}`
  }

  /** What the owner holds, and how its leases name it: without interface in the oldest format, if it has none of the newer. */
  #holding(owner: Attachment): Holding {
    const older: Attachment = { ...owner, ifName: '' }
    let files = this.#filesOf(owner, older)
    if (files.some(file => file?.boot === '')) this.#isCovered = false
    if (!this.#isCovered) {
      this.#cover()
      files = this.#filesOf(owner, older)
    }
    const [own, oldest] = files
    // Of both names: a lease that was rewritten in the other format, in place, has not touched the directory.
    const known = this.#owners.addressesOf(owner, own).concat(this.#owners.addressesOf(older, oldest))
    const addresses = this.#verified(owner, known)
    const hasFile = own !== undefined
    const inherited = addresses.length === 0 ? this.#verified(older, known) : []
    return inherited.length === 0
      ? { holder: owner, addresses, hasFile }
      : { holder: older, addresses: inherited, hasFile }
  }

  #filesOf(owner: Attachment, older: Attachment): readonly (OwnerFile | undefined)[] {
    return [this.#owners.read(owner), this.#owners.read(older)]
  }

  /** Those of the addresses whose leases name the owner: the lease decides, not what was written down about it. */
  #verified(owner: Attachment, known: readonly string[]): readonly IpAddress[] {
    const held: IpAddress[] = []
    const seen = new Set<string>()
    for (const text of known) {
      if (seen.has(text)) continue
      seen.add(text)
      const address = parseAddress(text)
      const holder = address === undefined ? undefined : this.find(address)?.owner
      if (address !== undefined && holder !== undefined && isSameAttachment(holder, owner)) held.push(address)
    }
    return held
  }

  /** Brings the owner files up to date, unless they are. */
  #cover(): void {
    if (this.#isCovered) return
    const held: { readonly address: string; readonly owner: Attachment }[] = []
    for (const { address, owner } of this.list()) {
      if (owner !== undefined) held.push({ address: formatAddress(address), owner })
    }
    this.#owners.update(held)
    this.#isCovered = true
  }
}

/** A directory at an address keeps it from being given away, as it does with the reference: a lease made by hand. */
function readLease(path: string): string | undefined {
  try {
    return readText(path)
  } catch (error) {
    if (errnoOf(error) === 'EISDIR') return '(a directory)'
    throw error
  }
}

function isLeaseName(name: string): boolean {
  const address = parseAddress(name)
  return address !== undefined && formatAddress(address) === name
}

/** Who a lease names; undefined when it is empty, or zeros that a power cut left in place of the text. */
function ownerOf(network: string, text: string): Attachment | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.indexOf('\0') >= 0) return undefined
  const lineEnd = trimmed.indexOf('\r\n')
  if (lineEnd < 0) return { network, containerId: trimmed, ifName: '' }
  return { network, containerId: trimmed.slice(0, lineEnd), ifName: trimmed.slice(lineEnd + 2) }
}
