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
import type { Attachment } from '../attachment.ts'
import { refuseNewer, withFormat } from '../config/format.ts'
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
import { type Recorded, Records } from './records.ts'

export const DEFAULT_STATE_DIR = '/run/patchbay'

/** linux/limits.h NAME_MAX is 255; a file that is being written has the writer's process id behind its name as well. */
const LONGEST_NAME = 200

/** Members of an entry whose file's name is a hash. */
const CONTAINER_ID = 'containerID'
const IF_NAME = 'ifname'

/** The networks that have entries of any plugin, in no order. */
export function recordedNetworks(stateDir: string | undefined): readonly string[] {
  return listDirectory(stateDirectory(stateDir)).filter(name => !name.startsWith('.'))
}

function stateDirectory(stateDir: string | undefined): string {
  return stateDir === undefined || stateDir === '' ? DEFAULT_STATE_DIR : stateDir
}

/** An entry of any plugin. */
export interface JournalEntry extends Recorded {
  readonly plugin: string
}

/** All entries of a network, in no order, for who only looks: nothing is cleared away. */
export function journalEntries(stateDir: string | undefined, network: string): readonly JournalEntry[] {
  const directory = `${stateDirectory(stateDir)}/${network}`
  const entries: JournalEntry[] = []
  for (const name of listDirectory(directory)) {
    // No plugin's name holds a dot, an interface's may.
    const plugin = name.slice(0, -'.json'.length).split('.').pop() ?? ''
    const recorded = recordedAt(directory, name, network, `.${plugin}.json`)
    if (recorded !== undefined) entries.push({ ...recorded, plugin })
  }
  return entries
}

/** The entry in a file of that ending; undefined when it is no entry, or gone. */
function recordedAt(directory: string, name: string, network: string, ending: string): Recorded | undefined {
  const colon = name.indexOf(':')
  if (name.startsWith('.') || colon < 1 || !name.endsWith(ending)) return undefined
  const entry = readEntry(`${directory}/${name}`)
  if (entry === undefined) return undefined
  const ifName = name.slice(colon + 1, name.length - ending.length)
  const containerId = ifName === '' ? textOf(entry, CONTAINER_ID) : name.slice(0, colon)
  return { attachment: { network, containerId, ifName: ifName === '' ? textOf(entry, IF_NAME) : ifName }, entry }
}

/** The entries of one plugin on one network. All names must have been judged by lib/cni: file names are made of them. */
export class Journal extends Records {
  readonly #network: string
  readonly #directory: string
  readonly #ending: string

  /** @param at `stateDir` undefined or '' for the usual place */
  constructor(at: { readonly network: string; readonly plugin: string; readonly stateDir: string | undefined }) {
    super()
    this.#network = at.network
    this.#directory = `${stateDirectory(at.stateDir)}/${at.network}`
    this.#ending = `.${at.plugin}.json`
  }

  override write(attachment: Attachment, entry: Json): void {
    const path = this.path(attachment)
    const text = jsonText(withFormat(this.#isLong(attachment) ? withOwner(entry, attachment) : entry))
    for (let tries = 1; ; tries += 1) {
      try {
        // Not made durable: what it tells of does not survive a power cut either.
        writeSingly(path, `${text}\n`, 0o600)
        return
      } catch (error) {
        // The first entry; or a DEL that removed the last one took the directory away between our two calls.
        if (errnoOf(error) !== 'ENOENT' || tries === 100) throw error
      }
      ensureDirectory(this.#directory, 0o700)
    }
  }

  override read(attachment: Attachment): Json | undefined {
    const path = this.path(attachment)
    return known(readEntry(path), path)
  }

  override readForRemoval(attachment: Attachment): Json | undefined {
    const path = this.path(attachment)
    const entry = readEntry(path)
    if (entry !== undefined) return known(entry, path)
    // The writer may have been killed before it began, with nothing made but the directory.
    removeUnfinished(path)
    removeEmptyDirectory(this.#directory)
    return undefined
  }

  override list(): readonly Recorded[] {
    const entries: Recorded[] = []
    for (const name of listDirectory(this.#directory)) {
      // Were its writer alive, it would find it gone and write it again.
      if (name.startsWith('.') && name.endsWith(`${this.#ending}.tmp`)) removeFile(`${this.#directory}/${name}`)
      const recorded = recordedAt(this.#directory, name, this.#network, this.#ending)
      if (recorded !== undefined) entries.push(recorded)
    }
    if (entries.length === 0) removeEmptyDirectory(this.#directory)
    return entries
  }

  /** With the last entry the network's directory goes too. */
  override remove(attachment: Attachment): void {
    removeSingly(this.path(attachment))
    removeEmptyDirectory(this.#directory)
  }

  /** Where an attachment's entry is, if there is one. */
  path(attachment: Attachment): string {
    const { containerId, ifName } = attachment
    const names = this.#isLong(attachment) ? hashOf(attachment) : `${containerId}:${ifName}`
    return `${this.#directory}/${names}${this.#ending}`
  }

  /** Counted as if every character of the interface's name, the only one that may hold others than ASCII, had three. */
  #isLong({ containerId, ifName }: Attachment): boolean {
    return containerId.length + 3 * ifName.length + this.#ending.length > LONGEST_NAME
  }
}

/** @throws {FormatError} */
function known(entry: Json | undefined, path: string): Json | undefined {
  if (entry !== undefined) refuseNewer(entry, JSON.stringify(path))
  return entry
}

function hashOf({ containerId, ifName }: Attachment): string {
  const bytes: Uint8Array = createHash('sha256').update(`${containerId}:${ifName}`).digest()
  return `${hex(bytes)}:`
}

function withOwner(entry: Json, { containerId, ifName }: Attachment): Json {
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
