/** This run of the machine: telling what was made in it from what was made before. */
import { modifiedAt, readText } from '../sys/files.ts'

/** Milliseconds that a file must be older than every known time of this boot to count as older than the boot. */
const CLOCK_MARGIN = 3_600_000

export class Boot {
  readonly #id = (readText('/proc/sys/kernel/random/boot_id') ?? '').trim()
  /** Asked for once: /proc/stat is slow to read on a machine with many processors. */
  #start: number | undefined

  /** Different in every boot; '' when it cannot be known. @source man 4 random, boot_id */
  id(): string {
    return this.#id
  }

  /** When it began, in milliseconds since 1970, as the clock of now has it; 0 when it cannot be known. */
  start(): number {
    const start = this.#start ?? readStart()
    this.#start = start
    return start
  }

  /**
   * Whether a file of that time was made before this boot, judged by time alone: certain, or no.
   *
   * The clock may have been wrong when the file was made, or be set since. Setting it forward moves the start of the
   * boot forward too, past files of this boot (a machine without a clock of its own begins every boot in 1970); so the
   * file must also be older than a device node, which the kernel made at boot by the clock of then.
   *
   * @param modified milliseconds since 1970
   */
  isSurelyAfter(modified: number): boolean {
    const firstClock = modifiedAt('/dev/null')
    return firstClock !== undefined && modified < Math.min(this.start(), firstClock) - CLOCK_MARGIN
  }
}

/** @source man 5 proc_stat, btime */
function readStart(): number {
  for (const line of (readText('/proc/stat') ?? '').split('\n')) {
    if (line.startsWith('btime ')) return Number(line.slice(6)) * 1000
  }
  return 0
}
