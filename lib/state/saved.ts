/**
 * What a plugin saves of an attachment to put it back on DEL, where the reference plugins save it: one JSON file
 * `<containerID>_<ifname>.json` in a directory of the plugin, so that either implementation's DEL finds it.
 *
 * The name cannot be taken apart again (both parts may hold `_`), and says nothing of the network: whoever wants to find
 * an attachment's owner later writes it into the object, whose unknown keys the reference ignores.
 */
import { readdirSync } from 'node:fs'
import { type Json, jsonObject, jsonText, parseJson } from '../config/json.ts'
import { errnoOf } from '../sys/errors.ts'
import {
  ensureDirectory,
  fileError,
  readText,
  removeFile,
  removeSingly,
  removeUnfinished,
  writeSingly
} from '../sys/files.ts'

/** `saved` is an empty object when the file does not hold one. */
export interface SavedFile {
  readonly name: string
  readonly saved: Json
}

export class SavedFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Writes or replaces; call it before the kernel is changed. @throws {SysError} ENOSPC, EROFS, EACCES */
  write(containerId: string, ifName: string, saved: Json): void {
    const path = `${this.#directory}/${nameOf(containerId, ifName)}`
    for (let tries = 1; ; tries += 1) {
      ensureDirectory(this.#directory, 0o700)
      try {
        writeSingly(path, `${jsonText(saved, 1)}\n`, 0o600)
        return
      } catch (error) {
        // A GC of another network took what we had begun for that of a killed writer: begin again.
        if (errnoOf(error) !== 'ENOENT' || tries === 100) throw error
      }
    }
  }

  /** @returns undefined when nothing is saved */
  read(containerId: string, ifName: string): Json | undefined {
    return this.#read(nameOf(containerId, ifName))
  }

  /** The same for who is about to remove it: where nothing is saved, what a killed writer began is cleared away. */
  readForRemoval(containerId: string, ifName: string): Json | undefined {
    const name = nameOf(containerId, ifName)
    const saved = this.#read(name)
    if (saved === undefined) removeUnfinished(`${this.#directory}/${name}`)
    return saved
  }

  /** Everything saved in the directory, in no order. What killed writers left is cleared away. */
  list(): readonly SavedFile[] {
    const files: SavedFile[] = []
    for (const name of this.#names()) {
      // Whose it is cannot be read from the beginning of a file. Were its writer alive, it would begin again.
      if (name.startsWith('.') && name.endsWith('.json.tmp')) removeFile(`${this.#directory}/${name}`)
      if (name.startsWith('.') || !name.endsWith('.json')) continue
      const saved = this.#read(name)
      if (saved !== undefined) files.push({ name, saved })
    }
    return files
  }

  /** Removes what is saved, if anything is. */
  remove(containerId: string, ifName: string): void {
    this.removeNamed(nameOf(containerId, ifName))
  }

  /** The same for a name that `list` gave. */
  removeNamed(name: string): void {
    removeSingly(`${this.#directory}/${name}`)
  }

  #read(name: string): Json | undefined {
    const text = readText(`${this.#directory}/${name}`)
    return text === undefined ? undefined : objectOf(text)
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#directory)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return []
      throw fileError('list', this.#directory, error)
    }
  }
}

function nameOf(containerId: string, ifName: string): string {
  return `${containerId}_${ifName}.json`
}

function objectOf(text: string): Json {
  try {
    const json = parseJson(text)
    return json.type === 'object' ? json : jsonObject([])
  } catch {
    return jsonObject([])
  }
}
