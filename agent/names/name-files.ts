/**
 * What the plugin `dns` has written down on this host, as files that come and go: `<state>/<network>/<containerID>:<ifname>.dns.json`.
 * The kernel tells of changes; since events can be lost, whoever uses this looks by itself every now and then, too.
 */
import { type FSWatcher, readdirSync, type Stats, statSync, watch } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Attachment } from '../../lib/attachment.ts'
import { parseJson } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { DNS_PLUGIN, type NameRecord, recordFromJson } from '../../lib/names/record.ts'
import { Journal } from '../../lib/state/journal.ts'
import { readText } from '../../lib/sys/files.ts'

const ENDING = `.${DNS_PLUGIN}.json`
/** Several events of one write are one. */
const GATHER_MS = 5

export interface NameFile extends Attachment {
  readonly record: NameRecord
  /** When it was read for the first time, by performance.now(). */
  readonly seenAt: number
}

interface ReadFile {
  readonly stamp: string
  readonly file: NameFile | undefined
}

export class NameFiles {
  readonly #stateDir: string
  readonly #changed: (path: string) => void
  readonly #watchers = new Map<string, FSWatcher>()
  /** What was read of each path, until the file there is another: an entry is replaced, never written into. */
  readonly #read = new Map<string, ReadFile>()
  readonly #gathered = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  /** @param changed called with each path where something may be different */
  constructor(stateDir: string, changed: (path: string) => void) {
    this.#stateDir = stateDir
    this.#changed = changed
  }

  /** Where everything is that is written down now; new networks are watched from now on. */
  paths(): readonly string[] {
    this.#watch(this.#stateDir, network => this.#gatherAll(network))
    return directoriesIn(this.#stateDir).flatMap(network => this.#pathsOf(network))
  }

  /** Where an attachment is written down, if it is. */
  pathOf(attachment: Attachment): string {
    const { network } = attachment
    return new Journal({ network, plugin: DNS_PLUGIN, stateDir: this.#stateDir }).path(attachment)
  }

  /** The same object as long as the file is the same; undefined for what is no entry, is being written, or is gone. */
  read(path: string): NameFile | undefined {
    const status = statusOf(path)
    if (status === undefined) {
      this.#read.delete(path)
      return undefined
    }
    const stamp = `${status.ino} ${status.ctimeMs}`
    const known = this.#read.get(path)
    if (known?.stamp === stamp) return known.file
    const file = readNameFile(path)
    this.#read.set(path, { stamp, file })
    return file
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #pathsOf(network: string): readonly string[] {
    const directory = join(this.#stateDir, network)
    const names = (): readonly string[] => filesIn(directory).filter(isEntryName)
    if (names().length === 0) return []
    // Watched before it is listed: what comes between is heard of twice, rather than never.
    this.#watch(directory, name => {
      if (isEntryName(name)) this.#gather([join(directory, name)])
    })
    return names().map(name => join(directory, name))
  }

  #watch(directory: string, heard: (name: string) => void): void {
    if (this.#watchers.has(directory)) return
    try {
      const watcher = watch(directory)
      this.#watchers.set(directory, watcher)
      const forget = (): void => {
        watcher.close()
        if (this.#watchers.get(directory) === watcher) this.#watchers.delete(directory)
      }
      watcher.on('error', forget)
      watcher.on('change', (event, name) => {
        // The directory itself was renamed or removed.
        if (event === 'rename' && name === basename(directory)) forget()
        else heard(String(name))
      })
    } catch {
      // It is gone already, or no more can be watched: the regular look finds what changes.
    }
  }

  #gatherAll(network: string): void {
    if (network !== '' && !network.startsWith('.')) this.#gather(this.#pathsOf(network))
  }

  #gather(paths: readonly string[]): void {
    for (const path of paths) this.#gathered.add(path)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const gathered = [...this.#gathered]
      this.#gathered.clear()
      for (const path of gathered) this.#changed(path)
    }, GATHER_MS)
  }
}

function isEntryName(name: string): boolean {
  return name.endsWith(ENDING) && !name.startsWith('.') && name.indexOf(':') > 0
}

function statusOf(path: string): Pick<Stats, 'ino' | 'ctimeMs'> | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function directoriesIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap(one => (one.isDirectory() ? [one.name] : []))
  } catch {
    return []
  }
}

function filesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function readNameFile(path: string): NameFile | undefined {
  const [network, name] = [basename(dirname(path)), basename(path)]
  const colon = name.indexOf(':')
  try {
    const json = parseJson(readText(path) ?? '')
    const section = new Section(json)
    const ifName = name.slice(colon + 1, -ENDING.length)
    // Long names stand in the entry, and a hash of them in the file's name (lib/state/journal.ts).
    const containerId = ifName === '' ? (section.text('containerID') ?? '') : name.slice(0, colon)
    return {
      network,
      containerId,
      ifName: ifName === '' ? (section.text('ifname') ?? '') : ifName,
      record: recordFromJson(json),
      seenAt: performance.now()
    }
  } catch {
    return undefined
  }
}
