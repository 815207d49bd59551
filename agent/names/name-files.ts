/**
 * What the plugin `dns` has written down on this host, as files that come and go: `<state>/<network>/<containerID>:<ifname>.dns.json`.
 * They are read again when the kernel tells of a change, and all of them every now and then, since events can be lost.
 */
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs'
import { join } from 'node:path'
import type { Attachment } from '../../lib/attachment.ts'
import { parseJson } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { DNS_PLUGIN, type NameRecord, recordFromJson } from '../../lib/names/record.ts'

const ENDING = `.${DNS_PLUGIN}.json`
/** Several events of one write are one. */
const GATHER_MS = 5

export interface NameFile extends Attachment {
  readonly record: NameRecord
}

interface ReadFile {
  readonly stamp: string
  readonly file: NameFile | undefined
}

export class NameFiles {
  readonly #stateDir: string
  readonly #changed: () => void
  readonly #watchers = new Map<string, FSWatcher>()
  /** What was read of each path, until the file there is another: an entry is replaced, never written into. */
  #read = new Map<string, ReadFile>()
  #timer: NodeJS.Timeout | undefined

  /** @param changed called when something may be different */
  constructor(stateDir: string, changed: () => void) {
    this.#stateDir = stateDir
    this.#changed = changed
  }

  /** Everything that is written down now; new networks are watched from now on. */
  list(): readonly NameFile[] {
    this.#watch(this.#stateDir)
    const files: NameFile[] = []
    const before = this.#read
    this.#read = new Map()
    for (const network of directoriesIn(this.#stateDir)) {
      const directory = join(this.#stateDir, network)
      const names = filesIn(directory)
      if (!names.some(name => name.endsWith(ENDING))) continue
      this.#watch(directory)
      for (const name of names) {
        const file = this.#readAgain(join(directory, name), before, () => readNameFile(directory, network, name))
        if (file !== undefined) files.push(file)
      }
    }
    return files
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /** The same object as long as the file is the same. */
  #readAgain(
    path: string,
    before: ReadonlyMap<string, ReadFile>,
    read: () => NameFile | undefined
  ): NameFile | undefined {
    if (!path.endsWith(ENDING)) return undefined
    const stamp = stampOf(path)
    const known = before.get(path)
    const now = known?.stamp === stamp ? known : { stamp, file: read() }
    this.#read.set(path, now)
    return now.file
  }

  #watch(directory: string): void {
    if (this.#watchers.has(directory)) return
    try {
      const watcher = watch(directory, () => this.#gather())
      this.#watchers.set(directory, watcher)
      const forget = (): void => {
        watcher.close()
        if (this.#watchers.get(directory) === watcher) this.#watchers.delete(directory)
      }
      watcher.on('error', forget)
      watcher.on('change', (event, name) => {
        // The directory itself was renamed or removed.
        if (event === 'rename' && name === directory.slice(directory.lastIndexOf('/') + 1)) forget()
      })
    } catch {
      // It is gone already, or no more can be watched: the regular look finds what changes.
    }
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#changed()
    }, GATHER_MS)
  }
}

function stampOf(path: string): string {
  try {
    const { ino, ctimeMs } = statSync(path)
    return `${ino} ${ctimeMs}`
  } catch {
    return 'absent'
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

/** undefined for what is no entry, is being written, or went meanwhile. */
function readNameFile(directory: string, network: string, name: string): NameFile | undefined {
  const colon = name.indexOf(':')
  if (name.startsWith('.') || colon < 1 || !name.endsWith(ENDING)) return undefined
  try {
    const json = parseJson(readFileSync(join(directory, name), 'utf8'))
    const section = new Section(json)
    const ifName = name.slice(colon + 1, -ENDING.length)
    // Long names stand in the entry, and a hash of them in the file's name (lib/state/journal.ts).
    const containerId = ifName === '' ? (section.text('containerID') ?? '') : name.slice(0, colon)
    return {
      network,
      containerId,
      ifName: ifName === '' ? (section.text('ifname') ?? '') : ifName,
      record: recordFromJson(json)
    }
  } catch {
    return undefined
  }
}
