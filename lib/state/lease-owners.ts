/**
 * Which addresses an owner holds, so that the leases of others need not be read:
 *
 *     <dataDir>/.patchbay/<network>/<containerID>:<ifname>    "<boot id> 10.1.0.2 fd00::2\n"
 *     <dataDir>/.patchbay/<network>/found.<0 to 255>          "<containerID>:<ifname> 10.1.0.3\n", one line each
 *     <dataDir>/.patchbay/<network>/seal                      "<boot id> <inode> <seconds>\n"
 *
 * Owners that we gave addresses to have a file each. Leases that somebody else gave are found by reading all of them
 * and listed in few files, by a hash of the owner: one for each would take seconds to make on a full host.
 *
 * A help only. No network can be named `.patchbay`, and the reference reads nothing but its network's directory.
 *
 * Owner files are written before the leases they name, so they never name too few, unless somebody else made leases.
 * The seal tells that: whoever of us leaves the lease directory sets its modification time to the second written there,
 * which lies in the past. Any file made by anybody else, or by one of us who was killed before the end, moves that time
 * on. Then, and once after every boot, all leases are read and the files here are brought up to date.
 */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { type Attachment, isName } from '../attachment.ts'
import { hasSpaceOr } from '../bytes/characters.ts'
import { hex } from '../ip/mac.ts'
import { ensureDirectory, listDirectory, overwrite, readText, removeFile, setModified } from '../sys/files.ts'

/** `boot` is that in which the owner got the addresses; '' in a torn file. */
export interface OwnerFile {
  readonly boot: string
  readonly addresses: readonly string[]
}

const BUCKETS = 256
const SEAL = 'seal'

/** Whether a runtime can ask for this owner, whose `ifName` is '' in leases of the oldest format. Other texts in leases, made by hand, must not become file names. */
export function isAttachment(owner: Attachment): boolean {
  return isName(owner.containerId) && !hasSpaceOr(owner.ifName, '/:\0')
}

/** The owner files of one network. */
export class OwnerFiles {
  readonly #path: string
  /** Of the seal that was there; nobody else writes one while we have the lock. */
  #sealWords: readonly string[] = []

  constructor(path: string) {
    this.#path = path
  }

  makeDirectory(): void {
    ensureDirectory(this.#path, 0o700)
  }

  read(owner: Attachment): OwnerFile | undefined {
    if (!isAttachment(owner)) return undefined
    const text = readText(this.#pathOf(fileName(owner)))
    if (text === undefined) return undefined
    const line = firstLine(text)
    if (line === undefined) return { boot: '', addresses: [] }
    const words = line.split(' ')
    return { boot: words[0] ?? '', addresses: words.slice(1) }
  }

  /**
   * Every address that the owner may hold; what it holds no longer may be among them.
   *
   * @param file what `read` says of the owner
   */
  addressesOf(owner: Attachment, file: OwnerFile | undefined): readonly string[] {
    if (!isAttachment(owner)) return []
    const addresses = (file?.addresses ?? []).slice(0)
    const name = fileName(owner)
    for (const line of (readText(this.#pathOf(bucketName(bucketOf(name)))) ?? '').split('\n')) {
      const [key, address] = line.split(' ')
      if (key === name && address !== undefined && !addresses.some(one => one === address)) addresses.push(address)
    }
    return addresses
  }

  write(owner: Attachment, boot: string, addresses: readonly string[]): void {
    overwrite(this.#pathOf(fileName(owner)), `${boot} ${addresses.join(' ')}\n`, 0o600)
  }

  remove(owner: Attachment): void {
    if (isAttachment(owner)) removeFile(this.#pathOf(fileName(owner)))
  }

  /**
   * Brings the files up to date with all leases that there are; owner files that name these addresses stay as they are.
   *
   * @param held every address with its owner
   */
  update(held: readonly { readonly address: string; readonly owner: Attachment }[]): void {
    const written = new Set<string>()
    for (const name of listDirectory(this.#path)) written.add(name)
    const kept = new Set<string>()
    const found: string[][] = []
    for (let i = 0; i < BUCKETS; i += 1) found.push([])
    for (const { address, owner } of held) {
      if (!isAttachment(owner)) continue
      const name = fileName(owner)
      const file = written.has(name) ? this.read(owner) : undefined
      if (file !== undefined && file.boot !== '') kept.add(name)
      if (!(file?.addresses ?? []).some(one => one === address)) found[bucketOf(name)]?.push(`${name} ${address}\n`)
    }
    for (let i = 0; i < BUCKETS; i += 1) {
      const name = bucketName(i)
      const text = (found[i] ?? []).sort().join('')
      if (text === '') continue
      kept.add(name)
      if (!written.has(name) || readText(this.#pathOf(name)) !== text) overwrite(this.#pathOf(name), text, 0o600)
    }
    for (const name of written) if (name !== SEAL && !kept.has(name)) removeFile(this.#pathOf(name))
  }

  /**
   * Makes the directory if it is missing. Must come first.
   *
   * @param directory of the leases
   * @returns whether nobody else has made a file in that since one of us sealed it in this boot
   */
  open(directory: string, bootId: string): boolean {
    const text = readText(this.#pathOf(SEAL))
    if (text === undefined) this.makeDirectory()
    const words = (firstLine(text ?? '') ?? '').split(' ')
    this.#sealWords = words
    if (words.length !== 3 || bootId === '' || words[0] !== bootId) return false
    const status = statSync(directory)
    return words[1] === String(status.ino) && Number(words[2]) * 1000 === status.mtimeMs
  }

  /**
   * Sets the directory's time to that of the seal; makes a new seal unless the old one was whole.
   * That it fails costs only time: the next call reads all leases.
   */
  seal(directory: string, bootId: string, wasSealed: boolean): void {
    try {
      const words = this.#sealWords
      const isKept = wasSealed && words.length === 3
      const seconds = isKept ? Number(words[2]) : Math.floor(Date.now() / 1000) - 2
      const status = statSync(directory)
      if (isKept && status.mtimeMs === seconds * 1000) return // nothing was changed
      if (!isKept) overwrite(this.#pathOf(SEAL), `${bootId} ${String(status.ino)} ${String(seconds)}\n`, 0o600)
      setModified(directory, seconds)
    } catch (error) {
      if (!(error instanceof Error)) throw error
    }
  }

  #pathOf(name: string): string {
    return `${this.#path}/${name}`
  }
}

/** What was written last; behind it may be the end of a longer text. Undefined when it was not written to its end. */
function firstLine(text: string): string | undefined {
  const end = text.indexOf('\n')
  return end < 0 ? undefined : text.slice(0, end)
}

/** A name that no other owner has: an interface name holds no colon, a container id begins with a letter or digit. */
function fileName(owner: Attachment): string {
  const key = `${owner.containerId}:${owner.ifName}`
  return key.length <= 200 ? key : `.${hex(createHash('sha256').update(key).digest())}`
}

/** No owner file has such a name: those hold a colon or begin with a dot. */
function bucketName(bucket: number): string {
  return `found.${String(bucket)}`
}

function bucketOf(name: string): number {
  let hash = 0
  for (let i = 0; i < name.length; i += 1) hash = (hash * 31 + name.charCodeAt(i)) % 65521
  return hash % BUCKETS
}
