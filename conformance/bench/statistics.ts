/** Medians and spreads of small samples. */

export interface Sample {
  /** The middle value. */
  readonly median: number
  /** A tenth of the runs were no larger than this. */
  readonly low: number
  /** A tenth of the runs were larger than this. */
  readonly high: number
  readonly runs: number
}

/** A median and the interval that holds the true one in 95 of 100 cases. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** The value below which the given part of the sorted values lies, interpolated. */
export function quantile(sorted: readonly number[], part: number): number {
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

function inOrder(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b)
}

export function sampleOf(values: readonly number[]): Sample {
  const sorted = inOrder(values)
  return {
    median: quantile(sorted, 0.5),
    low: quantile(sorted, 0.1),
    high: quantile(sorted, 0.9),
    runs: sorted.length
  }
}

/** How likely a fair coin shows heads at most `heads` times in `tosses`. */
function atMostHeads(heads: number, tosses: number): number {
  let ways = 1
  let sum = 0
  for (let i = 0; i <= heads; i += 1) {
    sum += ways
    ways = (ways * (tosses - i)) / (i + 1)
  }
  return sum / 2 ** tosses
}

/**
 * The median with its 95 % interval. Whatever the distribution, each value lies above the true median as a fair coin
 * shows heads, so the n-th smallest and the n-th largest value enclose it with a probability that is known. With fewer
 * than six values that is all of them, and the probability is less.
 */
export function estimateOf(values: readonly number[]): Estimate {
  const sorted = inOrder(values)
  let cut = 0
  while (atMostHeads(cut, sorted.length) <= 0.025) cut += 1
  const from = Math.max(0, cut - 1)
  return {
    median: quantile(sorted, 0.5),
    low: sorted[from] ?? Number.NaN,
    high: sorted[sorted.length - 1 - from] ?? Number.NaN
  }
}
