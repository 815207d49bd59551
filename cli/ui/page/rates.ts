/** Traffic as numbers: now, and over the last minutes. */
import { sizeText } from '../../top/size-text.ts'
import type { Keyed, TrafficRow } from '../model.ts'
import type { GraphNode } from './graph-model.ts'

/** Bytes per second, as the container sees it. */
export interface Rate {
  readonly rx: number
  readonly tx: number
}

/** Readings that are kept for charts: three minutes of them, one a second. */
const KEPT = 180

/** The sum of what these have. */
export function rateIn(rows: Keyed<TrafficRow>, keys: readonly string[]): Rate {
  const own = keys.flatMap(key => rows[key]?.rates ?? [])
  return { rx: own.reduce((sum, one) => sum + one.rxBytes, 0), tx: own.reduce((sum, one) => sum + one.txBytes, 0) }
}

/** `↓ 1.2Ki ↑ 340`: what a container receives and sends; of a segment, what passes. '' of what has no traffic of its own. */
export function rateText({ kind, traffic }: Pick<GraphNode, 'kind' | 'traffic'>, { rx, tx }: Rate): string {
  if (kind !== 'container' || traffic.length === 0) return ''
  return `↓ ${sizeText(rx)}B/s  ↑ ${sizeText(tx)}B/s`
}

/** Of a wire, in pixels: one more for each factor of 30. */
export function widthOfRate(bytes: number): number {
  return 1.5 + Math.log10(1 + bytes) / 1.5
}

/** A line of a chart: seconds since 1970, and bytes per second. */
export interface Course {
  readonly at: readonly number[]
  readonly rx: readonly number[]
  readonly tx: readonly number[]
}

const EMPTY: Course = { at: [], rx: [], tx: [] }

/** What each interface has received and sent since the page looks. */
export class History {
  readonly #courses = new Map<string, Course>()
  #readAt = ''

  /** @param readAt ISO 8601; the same again is no new reading */
  add(readAt: string, rows: Keyed<TrafficRow>): void {
    if (readAt === this.#readAt) return
    this.#readAt = readAt
    const at = Date.parse(readAt) / 1000
    for (const key of this.#courses.keys()) if (rows[key] === undefined) this.#courses.delete(key)
    for (const [key, { rates }] of Object.entries(rows)) {
      const course = this.of(key)
      this.#courses.set(key, {
        at: [...course.at, at].slice(-KEPT),
        rx: [...course.rx, rates.rxBytes].slice(-KEPT),
        tx: [...course.tx, rates.txBytes].slice(-KEPT)
      })
    }
  }

  of(key: string): Course {
    return this.#courses.get(key) ?? EMPTY
  }
}
