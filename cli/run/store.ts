/** What is known of the containers that `patchbay run` started: a directory each, with `state.json`, `wish.json` and `log`. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { FORMAT, FormatError, refuseNewer } from '../../lib/config/format.ts'
import { parseJson } from '../../lib/config/json.ts'
import { ensureDirectory, readText, writeAtomic } from '../../lib/sys/files.ts'
import type { Port } from './ports.ts'

export interface ContainerState {
  readonly name: string
  readonly command: readonly string[]
  /** ISO 8601 */
  readonly created: string
  /** Names of networks, or `host`, `none`, `container:NAME`. */
  readonly networks: readonly string[]
  readonly addresses: readonly string[]
  readonly ports: readonly Port[]
  /** The command's first process; 0 before it is started. */
  readonly pid: number
  /** When that process was started, in the kernel's ticks since boot: a process id may be used again. */
  readonly startTime: string
  /** The patchbay that waits for its end. */
  readonly keeper: number
  /** When that was started, as `startTime`. */
  readonly keeperStartTime: string
  /** Undefined until it has ended. */
  readonly exitStatus: number | undefined
}

export class ContainerStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  directoryOf(name: string): string {
    return join(this.#directory, name)
  }

  logOf(name: string): string {
    return join(this.#directory, name, 'log')
  }

  write(state: ContainerState): void {
    ensureDirectory(this.directoryOf(state.name), 0o700)
    this.#write(state.name, 'state.json', state)
  }

  has(name: string): boolean {
    return existsSync(this.directoryOf(name))
  }

  /**
   * What of nothing can be told but its name was killed while it was being made, or has a torn file: it has ended.
   *
   * @returns undefined when there is none @throws {FormatError}
   */
  find(name: string): ContainerState | undefined {
    const state = this.#read<ContainerState>(name, 'state.json')
    return state ?? (this.has(name) ? remainsOf(name) : undefined)
  }

  /** What the next start goes by; the environment is in it. */
  writeWish(name: string, wish: object): void {
    this.#write(name, 'wish.json', wish)
  }

  /** As it was written. @throws {FormatError} */
  wishOf<Wish>(name: string): Wish | undefined {
    return this.#read<Wish>(name, 'wish.json')
  }

  #write(name: string, file: string, content: object): void {
    const text = `${JSON.stringify({ ...content, format: FORMAT })}\n`
    writeAtomic(join(this.directoryOf(name), file), text, 0o600, false)
  }

  #read<Content>(name: string, file: string): Content | undefined {
    const path = join(this.directoryOf(name), file)
    const text = readText(path)
    if (text === undefined) return undefined
    try {
      refuseNewer(parseJson(text), JSON.stringify(path))
      return JSON.parse(text)
    } catch (error) {
      if (error instanceof FormatError) throw error
      return undefined
    }
  }

  /** Those that this version can read; standard error is told of others. */
  list(): readonly ContainerState[] {
    if (!existsSync(this.#directory)) return []
    return readdirSync(this.#directory)
      .sort()
      .flatMap(name => {
        try {
          return this.find(name) ?? []
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
          process.stderr.write(`patchbay: ${error.message}\n`)
          return []
        }
      })
  }

  remove(name: string): void {
    rmSync(this.directoryOf(name), { recursive: true, force: true })
  }
}

/** Of a container of which nothing is known but its name. */
export function remainsOf(name: string): ContainerState {
  return {
    name,
    command: [],
    created: new Date(0).toISOString(),
    networks: [],
    addresses: [],
    ports: [],
    pid: 0,
    startTime: '',
    keeper: 0,
    keeperStartTime: '',
    exitStatus: undefined
  }
}

/** Whether its first process is there still. One that had ended before its start time could be read has none. */
export function isRunning(state: ContainerState): boolean {
  return state.pid > 0 && state.startTime !== '' && startTimeOf(state.pid) === state.startTime
}

/** Whether the process that waits for its end, and then takes it off its networks, is there still. */
export function isKept(state: ContainerState): boolean {
  if (state.exitStatus !== undefined || state.keeper === 0) return false
  return startTimeOf(state.keeper) === state.keeperStartTime
}

/** '' when there is no such process, or only its remains. @source man 5 proc_pid_stat, fields 3 and 22 */
export function startTimeOf(pid: number): string {
  try {
    const fields =
      readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
        .split(') ')
        .at(-1)
        ?.split(' ') ?? []
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}
