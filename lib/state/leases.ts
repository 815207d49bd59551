/**
 * Address leases on disk, in the reference host-local's format, so that either implementation takes over a live host:
 *
 *     <dataDir>/<network>/lock                  flock around every change
 *     <dataDir>/<network>/10.1.0.2              "<containerID>\r\n<ifname>" (older: the id alone)
 *     <dataDir>/<network>/last_reserved_ip.0    "10.1.0.2": where the search in set 0 goes on
 *
 * The reference reads every one of these files to learn what an owner holds. Here a file per owner says it:
 *
 *     <dataDir>/.patchbay/<network>/<containerID>:<ifname>    "<boot id> 10.1.0.2 fd00::2\n"
 *     <dataDir>/.patchbay/<network>/seal                         "<boot id> <inode> <seconds>\n"
 *
 * No network can be named `.patchbay`, and the reference reads nothing but its network's directory.
 *
 * Owner files are written before the leases they name, so they never name too few, unless somebody else made leases.
 * The seal tells that: whoever of us leaves the directory sets its modification time to the second written there,
 * which lies in the past. Any file made by anybody else, or by one of us who was killed before the end, moves that
 * time on. Then, and once after every boot, all leases are read and the owner files are brought up to date.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, openSync, readdirSync, statSync, writeSync } from 'node:fs'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { hex } from '../ip/mac.ts'
import { errnoOf, SysError } from '../sys/errors.ts'
import {
  createExclusive,
  ensureDirectory,
  fileError,
  readText,
  removeFile,
  setModified,
  withLock
} from '../sys/files.ts'

/** Who holds a lease. `ifName` is '' in leases of the oldest format. */
export interface LeaseOwner {
  readonly containerId: string
  readonly ifName: string
}

/** `owner` is undefined in a file that its maker never finished: nobody's lease, once its maker lost the lock. */
export interface Lease {
  readonly address: IpAddress
  readonly owner: LeaseOwner | undefined
}

/** An address to lease, found in the range set of that number. */
export interface Claim {
  readonly address: IpAddress
  readonly set: number
}

interface OwnerFile {
  /** The boot in which the owner got the addresses; '-' when somebody else gave them; '' in a file never finished. */
  readonly boot: string
  readonly addresses: readonly string[]
}

const LOCK = 'lock'
const LAST_RESERVED = 'last_reserved_ip.'
const SEAL = 'seal'
const UNKNOWN_BOOT = '-'

/** Milliseconds that a lease must be older than every known time of this boot to count as older than the boot. */
const CLOCK_MARGIN = 3_600_000

/** The leases of one network. Everything but `path`, `exists` and `names` must run inside of `locked`. */
export class LeaseDirectory {
  readonly #path: string
  readonly #ownerPath: string
  /** Owner files name every lease that there is. */
  #isCovered = false
  #boot = ''

  constructor(dataDir: string, network: string) {
    this.#path = `${dataDir}/${network}`
    this.#ownerPath = `${dataDir}/.patchbay/${network}`
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
    ensureDirectory(this.#path, 0o755)
    ensureDirectory(this.#ownerPath, 0o700)
    return withLock(`${this.#path}/${LOCK}`, 0o600, () => {
      this.#boot = (readText('/proc/sys/kernel/random/boot_id') ?? '').trim()
      this.#isCovered = this.#isSealed()
      const wasSealed = this.#isCovered
      try {
        return work()
      } finally {
        if (this.#isCovered) this.#seal(wasSealed)
      }
    })
  }

  /** Names of all leases, with one look into the directory; none when the network has never been used. */
  names(): Set<string> {
    const names = new Set<string>()
    for (const name of listNames(this.#path)) if (isLeaseName(name)) names.add(name)
    return names
  }

  /** The address that was last given away from that set. */
  lastReserved(set: number): IpAddress | undefined {
    return parseAddress(readText(`${this.#path}/${LAST_RESERVED}${String(set)}`) ?? '')
  }

  /** What lies at an address: undefined when it is free. */
  find(address: IpAddress): Lease | undefined {
    const text = readText(this.#leasePath(address))
    return text === undefined ? undefined : { address, owner: ownerOf(text) }
  }

  /** The addresses that this owner holds; those of the oldest format, known by container alone, when there are none. */
  heldBy(owner: LeaseOwner): readonly IpAddress[] {
    return this.#verified(this.#holder(owner))
  }

  /**
   * Leases every claim to the owner, or none of them. `held` is what the owner has already and keeps: those leases
   * count as given anew, in this boot.
   *
   * @throws {SysError} ENOSPC and other failures of the file system; EEXIST when somebody has an address, which only
   * happens to callers that did not ask `find` first
   */
  claim(owner: LeaseOwner, held: readonly IpAddress[], claims: readonly Claim[]): void {
    this.#cover()
    const now = Math.floor(Date.now() / 1000)
    const addresses = held.concat(claims.map(claim => claim.address))
    this.#writeOwnerFile(owner, this.#boot, addresses.map(formatAddress))
    for (const address of held) setModified(this.#leasePath(address), now)
    for (const { address, set } of claims) {
      overwrite(`${this.#path}/${LAST_RESERVED}${String(set)}`, formatAddress(address), 0o600)
    }
    const made: IpAddress[] = []
    try {
      for (const { address } of claims) {
        this.#create(address, owner)
        made.push(address)
      }
    } catch (error) {
      for (const address of made) removeFile(this.#leasePath(address))
      throw error
    }
  }

  /** Gives back everything that the owner holds. */
  release(owner: LeaseOwner): void {
    const holder = this.#holder(owner)
    for (const address of this.#verified(holder)) removeFile(this.#leasePath(address))
    removeFile(this.#ownerFilePath(holder))
  }

  /** Reads every lease. */
  list(): readonly Lease[] {
    const leases: Lease[] = []
    for (const name of listNames(this.#path)) {
      const address = isLeaseName(name) ? parseAddress(name) : undefined
      const lease = address === undefined ? undefined : this.find(address)
      if (lease !== undefined) leases.push(lease)
      // Under the lock nobody is between writing and linking: this is what a kill left.
      if (/^\..*\.tmp$/.test(name)) removeFile(`${this.#path}/${name}`)
    }
    return leases
  }

  /** Removes these leases, whoever holds them. */
  remove(leases: readonly Lease[]): void {
    this.#cover()
    for (const lease of leases) removeFile(this.#leasePath(lease.address))
    for (const { owner } of leases) {
      if (owner !== undefined && this.#verified(owner).length === 0) removeFile(this.#ownerFilePath(owner))
    }
  }

  /**
   * Whether the lease was given before this machine was started, which its owner did not survive. Certain, or no:
   *
   * - The owner file names the boot. (The time is asked as well: the reference may have given the same address to the
   *   same owner again.)
   * - Leases of the reference have only their time, written by a clock that may have been wrong then or be set since.
   *   Setting it forward moves the computed time of boot forward too, past leases of this boot; so they must also be
   *   older than a device node, which the kernel made at boot by the clock of that time, and by an hour.
   * - Leases of the oldest format are often made by hand to keep an address from being given away: never.
   */
  isBeforeBoot(lease: Lease): boolean {
    const owner = lease.owner
    if (owner === undefined || owner.ifName === '' || this.#boot === '') return false
    const modified = modifiedAt(this.#leasePath(lease.address))
    const boot = bootTime()
    if (modified === undefined || boot === undefined || modified >= boot) return false
    const file = this.#readOwnerFile(owner)
    const name = formatAddress(lease.address)
    if (file !== undefined && file.boot !== UNKNOWN_BOOT && file.addresses.some(one => one === name)) {
      return file.boot !== this.#boot
    }
    const firstClock = modifiedAt('/dev/null')
    return firstClock !== undefined && modified < Math.min(boot, firstClock) - CLOCK_MARGIN
  }

  #create(address: IpAddress, owner: LeaseOwner): void {
    const path = this.#leasePath(address)
    const found = this.find(address)
    if (found !== undefined && found.owner === undefined) removeFile(path)
    // Not made durable: what a power cut may take is a lease whose container it ends as well.
    if (!createExclusive(path, `${owner.containerId}\r\n${owner.ifName}`, 0o600, false)) {
      throw new SysError('create lease', JSON.stringify(path), 'EEXIST', '')
    }
  }

  #leasePath(address: IpAddress): string {
    return `${this.#path}/${formatAddress(address)}`
  }

  /** The owner as its leases name it: without interface in the oldest format, when it has none of the newer. */
  #holder(owner: LeaseOwner): LeaseOwner {
    const older = { containerId: owner.containerId, ifName: '' }
    for (const one of [owner, older]) if (this.#readOwnerFile(one)?.boot === '') this.#isCovered = false
    this.#cover()
    return this.#verified(owner).length === 0 && this.#verified(older).length > 0 ? older : owner
  }

  /** Those addresses of the owner file that are the owner's indeed. */
  #verified(owner: LeaseOwner): readonly IpAddress[] {
    const held: IpAddress[] = []
    for (const text of this.#readOwnerFile(owner)?.addresses ?? []) {
      const address = parseAddress(text)
      const holder = address === undefined ? undefined : this.find(address)?.owner
      if (address !== undefined && holder !== undefined && keyOf(holder) === keyOf(owner)) held.push(address)
    }
    return held
  }

  /** Brings the owner files up to date, unless they are. */
  #cover(): void {
    if (this.#isCovered) return
    const owners = new Map<string, LeaseOwner>()
    const addresses = new Map<string, string[]>()
    for (const { address, owner } of this.list()) {
      if (owner === undefined || !isAttachment(owner)) continue
      const name = ownerFileName(owner)
      owners.set(name, owner)
      const others = addresses.get(name)
      if (others === undefined) addresses.set(name, [formatAddress(address)])
      else others.push(formatAddress(address))
    }
    const names = listNames(this.#ownerPath)
    const written = new Set<string>()
    for (const name of names) written.add(name)
    for (const [name, owner] of owners) {
      const found = addresses.get(name) ?? []
      const known = written.has(name) ? (this.#readOwnerFile(owner)?.addresses ?? []) : []
      if (found.every(one => known.some(other => other === one))) continue
      this.#writeOwnerFile(owner, UNKNOWN_BOOT, found)
    }
    for (const name of names) {
      if (name !== SEAL && !owners.has(name)) removeFile(`${this.#ownerPath}/${name}`)
    }
    this.#isCovered = true
  }

  #ownerFilePath(owner: LeaseOwner): string {
    return `${this.#ownerPath}/${ownerFileName(owner)}`
  }

  #readOwnerFile(owner: LeaseOwner): OwnerFile | undefined {
    if (!isAttachment(owner)) return undefined
    const text = readText(this.#ownerFilePath(owner))
    if (text === undefined) return undefined
    if (!text.endsWith('\n')) return { boot: '', addresses: [] }
    const words = text.trim().split(' ')
    return { boot: words[0] ?? '', addresses: words.slice(1) }
  }

  #writeOwnerFile(owner: LeaseOwner, boot: string, addresses: readonly string[]): void {
    overwrite(this.#ownerFilePath(owner), `${boot} ${addresses.join(' ')}\n`, 0o600)
  }

  /** Whether nobody else has made a file since one of us sealed the directory in this boot. */
  #isSealed(): boolean {
    const words = (readText(`${this.#ownerPath}/${SEAL}`) ?? '').trim().split(' ')
    if (words.length !== 3 || this.#boot === '' || words[0] !== this.#boot) return false
    const status = statSync(this.#path)
    return words[1] === String(status.ino) && Number(words[2]) * 1000 === status.mtimeMs
  }

  /** Costs time only when it fails: then the next call reads all leases. */
  #seal(wasSealed: boolean): void {
    try {
      const path = `${this.#ownerPath}/${SEAL}`
      const words = (readText(path) ?? '').trim().split(' ')
      const isKept = wasSealed && words.length === 3
      const seconds = isKept ? Number(words[2]) : Math.floor(Date.now() / 1000) - 2
      if (!isKept) overwrite(path, `${this.#boot} ${String(statSync(this.#path).ino)} ${String(seconds)}\n`, 0o600)
      setModified(this.#path, seconds)
    } catch (error) {
      if (!(error instanceof Error)) throw error
    }
  }
}

function keyOf(owner: LeaseOwner): string {
  return `${owner.containerId}:${owner.ifName}`
}

/** A name that no other owner has: an interface name holds no colon, a container id begins with a letter or digit. */
function ownerFileName(owner: LeaseOwner): string {
  const key = keyOf(owner)
  return key.length <= 200 ? key : `.${hex(createHash('sha256').update(key).digest())}`
}

/** Whether a runtime can ask for this owner. Other texts in leases, made by hand, must not become file names. */
export function isAttachment(owner: LeaseOwner): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(owner.containerId) && !/[/:\s\0]/.test(owner.ifName)
}

function isLeaseName(name: string): boolean {
  const address = parseAddress(name)
  return address !== undefined && formatAddress(address) === name
}

/** Who a lease names; undefined when it is empty, or zeros that a power cut left in place of the text. */
function ownerOf(text: string): LeaseOwner | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.indexOf('\0') >= 0) return undefined
  const lineEnd = trimmed.indexOf('\r\n')
  if (lineEnd < 0) return { containerId: trimmed, ifName: '' }
  return { containerId: trimmed.slice(0, lineEnd), ifName: trimmed.slice(lineEnd + 2) }
}

/** Names in a directory; none when it is absent. */
function listNames(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw fileError('list', path, error)
  }
}

/** Writes a file in its place. Torn by a kill or a full disk it holds less, which every reader here takes for nothing. */
function overwrite(path: string, text: string, mode: number): void {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, mode)
    try {
      const bytes = new TextEncoder().encode(text)
      let offset = 0
      while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw fileError('write', path, error)
  }
}

/** Milliseconds since 1970; undefined when there is no such file. */
function modifiedAt(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs
  } catch {
    return undefined
  }
}

/**
 * When this machine was started, in milliseconds since 1970, as the clock of now has it.
 *
 * @source man 5 proc_stat, btime
 */
function bootTime(): number | undefined {
  for (const line of (readText('/proc/stat') ?? '').split('\n')) {
    if (line.startsWith('btime ')) return Number(line.slice(6)) * 1000
  }
  return undefined
}
