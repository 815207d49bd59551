/**
 * The directory in which runtimes find networks, as far as it is the agent's: a file for each network of the cluster. Files
 * that somebody else wrote, or has changed, are not touched.
 *
 * The files are what the agent remembers of the networks, too; it writes nothing else of them.
 */
import { messageOf } from '../../lib/sys/errors.ts'
import {
  createExclusive,
  ensureDirectory,
  listDirectory,
  readText,
  removeFile,
  writeAtomic
} from '../../lib/sys/files.ts'
import { conflistOf, type HostSettings, type KnownNetwork, networkOfConflist } from './conflist.ts'
import type { NetworkRecord } from './record.ts'

/** As `patchbay network create` names those of one host: no two networks of one name. */
const FILE = /^patchbay-(.+)\.conflist$/
/** What a killed agent has left beside one. @see createExclusive, writeAtomic */
const UNFINISHED = /^\.patchbay-.+\.conflist\.[0-9]+\.tmp$/

export class ConfDir {
  readonly #path: string
  readonly #settings: HostSettings

  constructor(path: string, settings: HostSettings) {
    this.#path = path
    this.#settings = settings
  }

  pathOf(name: string): string {
    return `${this.#path}/patchbay-${name}.conflist`
  }

  /** The networks of the agent's own files, by name; the beginnings of files are cleared away. */
  own(): ReadonlyMap<string, KnownNetwork> {
    const own = new Map<string, KnownNetwork>()
    for (const file of listDirectory(this.#path)) {
      if (UNFINISHED.test(file)) removeFile(`${this.#path}/${file}`)
      const name = FILE.exec(file)?.[1]
      const known = name === undefined ? undefined : this.#ownOf(name)
      if (known !== undefined && known.record.name === name) own.set(name, known)
    }
    return own
  }

  /** Whether runtimes are told of this very network. */
  has({ name, id }: NetworkRecord): boolean {
    return this.#ownOf(name)?.record.id === id
  }

  /** Writes a network's file. @returns why it cannot be there; '' when it is */
  put(known: KnownNetwork): string {
    const { name } = known.record
    const path = this.pathOf(name)
    const text = conflistOf(known, this.#settings)
    try {
      const present = readText(path)
      if (present === text) return ''
      if (present !== undefined && networkOfConflist(present) === undefined)
        return `${JSON.stringify(path)} is somebody else's`
      ensureDirectory(this.#path, 0o755)
      if (present !== undefined) writeAtomic(path, text, 0o644)
      else if (!createExclusive(path, text, 0o644)) return `${JSON.stringify(path)} is somebody else's`
      return ''
    } catch (error) {
      return messageOf(error)
    }
  }

  /** Removes a network's file, if it is the agent's. */
  drop(name: string): void {
    if (this.#ownOf(name) !== undefined) removeFile(this.pathOf(name))
  }

  #ownOf(name: string): KnownNetwork | undefined {
    return networkOfConflist(readText(this.pathOf(name)) ?? '')
  }
}
