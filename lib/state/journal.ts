/**
 * What each attachment has made on this host, written down before it is made. DEL and GC undo from here when
 * configuration, namespace and previous result are gone:
 *
 *     ADD writes the name of the veth it is about to make; a kill -9 follows; GC reads the name and removes the veth.
 *
 * One file per attachment and plugin, `/run/patchbay/<network>/<containerID>:<ifname>.<plugin>.json`. On tmpfs,
 * because what it tells of does not survive the boot either.
 */
import { type Json, jsonObject, jsonText, parseJson } from '../config/json.ts'
import { errnoOf } from '../sys/errors.ts'
import {
  ensureDirectory,
  listDirectory,
  readText,
  removeEmptyDirectory,
  removeFile,
  writeAtomic
} from '../sys/files.ts'

export const DEFAULT_STATE_DIR = '/run/patchbay'

/** `entry` is an empty object when the file does not hold one: the attachment was there, its details are lost. */
export interface JournalEntry {
  readonly containerId: string
  readonly ifName: string
  readonly entry: Json
}

/** The entries of one plugin on one network. All names must have been judged by lib/cni: file names are made of them. */
export class Journal {
  readonly #directory: string
  readonly #ending: string

  /** @param at `stateDir` undefined or '' for the usual place */
  constructor(at: { readonly network: string; readonly plugin: string; readonly stateDir: string | undefined }) {
    const stateDir = at.stateDir === undefined || at.stateDir === '' ? DEFAULT_STATE_DIR : at.stateDir
    this.#directory = `${stateDir}/${at.network}`
    this.#ending = `.${at.plugin}.json`
  }

  /** Writes or replaces the entry; call it before the kernel is changed. */
  write(containerId: string, ifName: string, entry: Json): void {
    const path = this.#path(containerId, ifName)
    for (let tries = 1; ; tries += 1) {
      ensureDirectory(this.#directory, 0o700)
      try {
        // What it tells of does not survive a power cut either.
        writeAtomic(path, `${jsonText(entry)}\n`, 0o600, false)
        return
      } catch (error) {
        // A DEL that removed the last entry took the directory away between our two calls: make it again.
        if (errnoOf(error) !== 'ENOENT' || tries === 100) throw error
      }
    }
  }

  /** The entry; undefined when there is none. */
  read(containerId: string, ifName: string): Json | undefined {
    const text = readText(this.#path(containerId, ifName))
    return text === undefined ? undefined : entryOf(text)
  }

  /** Every entry of this plugin on this network, in no order. */
  list(): readonly JournalEntry[] {
    const entries: JournalEntry[] = []
    for (const name of listDirectory(this.#directory)) {
      const colon = name.indexOf(':')
      if (name.startsWith('.') || colon < 1 || !name.endsWith(this.#ending)) continue
      const containerId = name.slice(0, colon)
      const ifName = name.slice(colon + 1, name.length - this.#ending.length)
      const entry = this.read(containerId, ifName)
      if (entry !== undefined) entries.push({ containerId, ifName, entry })
    }
    return entries
  }

  /** Removes the entry if it is there, and the network's directory with the last one. */
  remove(containerId: string, ifName: string): void {
    if (removeFile(this.#path(containerId, ifName))) removeEmptyDirectory(this.#directory)
  }

  #path(containerId: string, ifName: string): string {
    return `${this.#directory}/${containerId}:${ifName}${this.#ending}`
  }
}

function entryOf(text: string): Json {
  try {
    const json = parseJson(text)
    return json.type === 'object' ? json : jsonObject([])
  } catch {
    return jsonObject([])
  }
}
