/**
 * What each attachment has made on this host, written down before it is made. DEL and GC undo from here when
 * configuration, namespace and previous result are gone:
 *
 *     ADD writes the name of the veth it is about to make; a kill -9 follows; GC reads the name and removes the veth.
 *
 * One file per attachment and plugin, `/run/patchbay/<network>/<containerID>:<ifname>.<plugin>.json`. On tmpfs,
 * because what it tells of does not survive the boot either. Where the names are longer than a file name can be, their
 * hash stands for them, with nothing behind the colon, and the entry holds them.
 */
import { createHash } from 'node:crypto'
import { type Json, jsonObject, jsonString, jsonText, memberOf, parseJson, withMember } from '../config/json.ts'
import { hex } from '../ip/mac.ts'
import { errnoOf } from '../sys/errors.ts'
import {
  ensureDirectory,
  listDirectory,
  readText,
  removeEmptyDirectory,
  removeFile,
  removeSingly,
  removeUnfinished,
  writeSingly
} from '../sys/files.ts'

export const DEFAULT_STATE_DIR = '/run/patchbay'

/** linux/limits.h NAME_MAX is 255; a file that is being written has the writer's process id behind its name as well. */
const LONGEST_NAME = 200

/** Members of an entry whose file's name is a hash. */
const CONTAINER_ID = 'containerID'
const IF_NAME = 'ifname'

/** `entry` is an empty object when the file does not hold one: the attachment was there, its details are lost. */
export interface JournalEntry {
  readonly containerId: string
  readonly ifName: string
  readonly entry: Json
}

/** The networks that have entries of any plugin, in no order. */
export function recordedNetworks(stateDir: string | undefined): readonly string[] {
  return listDirectory(stateDirectory(stateDir)).filter(name => !name.startsWith('.'))
}

function stateDirectory(stateDir: string | undefined): string {
  return stateDir === undefined || stateDir === '' ? DEFAULT_STATE_DIR : stateDir
}

/** The entries of one plugin on one network. All names must have been judged by lib/cni: file names are made of them. */
export class Journal {
  readonly #directory: string
  readonly #ending: string

  /** @param at `stateDir` undefined or '' for the usual place */
  constructor(at: { readonly network: string; readonly plugin: string; readonly stateDir: string | undefined }) {
    this.#directory = `${stateDirectory(at.stateDir)}/${at.network}`
    this.#ending = `.${at.plugin}.json`
  }

  /** Writes or replaces the entry; call it before the kernel is changed. */
  write(containerId: string, ifName: string, entry: Json): void {
    const path = this.#path(containerId, ifName)
    const text = jsonText(this.#isLong(containerId, ifName) ? withOwner(entry, containerId, ifName) : entry)
    for (let tries = 1; ; tries += 1) {
      ensureDirectory(this.#directory, 0o700)
      try {
        // Not made durable: what it tells of does not survive a power cut either.
        writeSingly(path, `${text}\n`, 0o600)
        return
      } catch (error) {
        // A DEL that removed the last entry took the directory away between our two calls: make it again.
        if (errnoOf(error) !== 'ENOENT' || tries === 100) throw error
      }
    }
  }

  /** The entry; undefined when there is none. */
  read(containerId: string, ifName: string): Json | undefined {
    return readEntry(this.#path(containerId, ifName))
  }

  /** The same for who is about to remove it: where there is none, what a killed writer began is cleared away. */
  readForRemoval(containerId: string, ifName: string): Json | undefined {
    const path = this.#path(containerId, ifName)
    const entry = readEntry(path)
    if (entry === undefined && removeUnfinished(path)) removeEmptyDirectory(this.#directory)
    return entry
  }

  /** Every entry of this plugin on this network, in no order. What killed writers left is cleared away. */
  list(): readonly JournalEntry[] {
    const entries: JournalEntry[] = []
    for (const name of listDirectory(this.#directory)) {
      const colon = name.indexOf(':')
      // Were its writer alive, it would find it gone and write it again.
      if (name.startsWith('.') && name.endsWith(`${this.#ending}.tmp`)) removeFile(`${this.#directory}/${name}`)
      if (name.startsWith('.') || colon < 1 || !name.endsWith(this.#ending)) continue
      const entry = readEntry(`${this.#directory}/${name}`)
      if (entry === undefined) continue
      const ifName = name.slice(colon + 1, name.length - this.#ending.length)
      if (ifName !== '') entries.push({ containerId: name.slice(0, colon), ifName, entry })
      else entries.push({ containerId: textOf(entry, CONTAINER_ID), ifName: textOf(entry, IF_NAME), entry })
    }
    if (entries.length === 0) removeEmptyDirectory(this.#directory)
    return entries
  }

  /** Removes the entry if it is there, and the network's directory with the last one. */
  remove(containerId: string, ifName: string): void {
    removeSingly(this.#path(containerId, ifName))
    removeEmptyDirectory(this.#directory)
  }

  #path(containerId: string, ifName: string): string {
    const names = this.#isLong(containerId, ifName) ? hashOf(containerId, ifName) : `${containerId}:${ifName}`
    return `${this.#directory}/${names}${this.#ending}`
  }

  /** Counted as if every character of the interface's name, the only one that may hold others than ASCII, had three. */
  #isLong(containerId: string, ifName: string): boolean {
    return containerId.length + 3 * ifName.length + this.#ending.length > LONGEST_NAME
  }
}

function hashOf(containerId: string, ifName: string): string {
  const bytes: Uint8Array = createHash('sha256').update(`${containerId}:${ifName}`).digest()
  return `${hex(bytes)}:`
}

function withOwner(entry: Json, containerId: string, ifName: string): Json {
  return withMember(withMember(entry, CONTAINER_ID, jsonString(containerId)), IF_NAME, jsonString(ifName))
}

function textOf(entry: Json, key: string): string {
  return memberOf(entry, key)?.text ?? ''
}

/** A directory in the file's place holds no entry, and must not keep DEL and GC from all the rest. */
function readEntry(path: string): Json | undefined {
  try {
    const text = readText(path)
    return text === undefined ? undefined : entryOf(text)
  } catch (error) {
    if (errnoOf(error) === 'EISDIR') return jsonObject([])
    throw error
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
