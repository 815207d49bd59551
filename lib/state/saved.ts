/**
 * What a plugin saves of an attachment to put it back on DEL, where the reference plugins save it: one JSON file
 * `<containerID>_<ifname>.json` in a directory of the plugin, so that either implementation's DEL finds it.
 *
 * The name cannot be taken apart again (both parts may hold `_`), and says nothing of the network: the attachment is
 * written into the object too, whose unknown keys the reference ignores.
 */
import { readdirSync } from 'node:fs'
import type { Attachment } from '../attachment.ts'
import { refuseNewer, withFormat } from '../config/format.ts'
import { type Json, jsonObject, jsonString, jsonText, memberOf, parseJson, withMember } from '../config/json.ts'
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
import { type Recorded, Records } from './records.ts'

export class SavedFiles extends Records {
  readonly #directory: string
  readonly #network: string

  /** @param network whose attachments `list` finds */
  constructor(directory: string, network: string) {
    super()
    this.#directory = directory
    this.#network = network
  }

  override write(attachment: Attachment, entry: Json): void {
    const path = this.#path(attachment)
    const saved = withFormat(withOwner(entry, attachment))
    for (let tries = 1; ; tries += 1) {
      try {
        writeSingly(path, `${jsonText(saved, 1)}\n`, 0o600)
        return
      } catch (error) {
        // The first file; or a GC of another network took what we had begun for that of a killed writer.
        if (errnoOf(error) !== 'ENOENT' || tries === 100) throw error
      }
      ensureDirectory(this.#directory, 0o700)
    }
  }

  override read(attachment: Attachment): Json | undefined {
    const path = this.#path(attachment)
    return known(readObject(path), path)
  }

  override readForRemoval(attachment: Attachment): Json | undefined {
    const path = this.#path(attachment)
    const saved = readObject(path)
    if (saved === undefined) removeUnfinished(path)
    return known(saved, path)
  }

  /** Files of other implementations do not tell whose they are: never. */
  override list(): readonly Recorded[] {
    const files: Recorded[] = []
    for (const name of this.#names()) {
      // Whose it is cannot be read from the beginning of a file. Were its writer alive, it would begin again.
      if (name.startsWith('.') && name.endsWith('.json.tmp')) removeFile(`${this.#directory}/${name}`)
      if (name.startsWith('.') || !name.endsWith('.json')) continue
      const entry = readObject(`${this.#directory}/${name}`)
      const attachment = entry === undefined ? undefined : ownerIn(entry)
      if (entry === undefined || attachment === undefined || attachment.network !== this.#network) continue
      if (nameOf(attachment) === name) files.push({ attachment, entry })
    }
    return files
  }

  override remove(attachment: Attachment): void {
    removeSingly(this.#path(attachment))
  }

  #path(attachment: Attachment): string {
    return `${this.#directory}/${nameOf(attachment)}`
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

/** @throws {FormatError} */
function known(saved: Json | undefined, path: string): Json | undefined {
  if (saved !== undefined) refuseNewer(saved, JSON.stringify(path))
  return saved
}

function nameOf({ containerId, ifName }: Attachment): string {
  return `${containerId}_${ifName}.json`
}

function withOwner(entry: Json, { network, containerId, ifName }: Attachment): Json {
  const named = withMember(entry, 'network', jsonString(network))
  return withMember(withMember(named, 'containerID', jsonString(containerId)), 'ifName', jsonString(ifName))
}

function ownerIn(entry: Json): Attachment | undefined {
  const network = memberOf(entry, 'network')?.text
  const containerId = memberOf(entry, 'containerID')?.text
  const ifName = memberOf(entry, 'ifName')?.text
  if (network === undefined || containerId === undefined || ifName === undefined) return undefined
  return { network, containerId, ifName }
}

function readObject(path: string): Json | undefined {
  const text = readText(path)
  return text === undefined ? undefined : objectOf(text)
}

function objectOf(text: string): Json {
  try {
    const json = parseJson(text)
    return json.type === 'object' ? json : jsonObject([])
  } catch {
    return jsonObject([])
  }
}
