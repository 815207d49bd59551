/** Medians and spreads of small samples. */

export interface Sample {
  /** The middle value, ms. */
  readonly median: number
  /** A tenth of the runs took no longer than this, ms. */
  readonly low: number
  /** A tenth of the runs took longer than this, ms. */
  readonly high: number
  readonly runs: number
}

/** The value below which the given part of the sorted values lies, interpolated. */
export function quantile(sorted: readonly number[], part: number): number {
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

export function sampleOf(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.1),
    high: quantile(sorted, 0.9),
    runs: sorted.length
  }
}
