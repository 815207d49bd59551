/**
 * What the plugin `dns` has written down on this host, as files that come and go: `<state>/<network>/<containerID>:<ifname>.dns.json`.
 * They are read again when the kernel tells of a change, and all of them every now and then, since events can be lost.
 */
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs'
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

export class NameFiles {
  readonly #stateDir: string
  readonly #changed: () => void
  readonly #watchers = new Map<string, FSWatcher>()
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
    for (const network of directoriesIn(this.#stateDir)) {
      const directory = join(this.#stateDir, network)
      const names = filesIn(directory)
      if (!names.some(name => name.endsWith(ENDING))) continue
      this.#watch(directory)
      for (const name of names) {
        const file = readNameFile(directory, network, name)
        if (file !== undefined) files.push(file)
      }
    }
    return files
  }

  /** The entry of one attachment, without looking at the others. */
  find(attachment: Attachment): NameFile | undefined {
    const directory = join(this.#stateDir, attachment.network)
    const name = `${attachment.containerId}:${attachment.ifName}${ENDING}`
    return (
      readNameFile(directory, attachment.network, name) ??
      this.list().find(
        one =>
          one.network === attachment.network &&
          one.containerId === attachment.containerId &&
          one.ifName === attachment.ifName
      )
    )
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
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
