/**
 * Token buckets in bytes and bytes per second, and as the kernel counts them.
 *
 * @source linux/pkt_sched.h struct tc_tbf_qopt, enum TCA_TBF_*; net/sched/sch_tbf.c tbf_change, tbf_dump
 */
import type { TbfOptions } from '../netlink/rt/tc.ts'
import type { Tbf } from './qdiscs.ts'

const UINT32 = 4294967296
/** A tick of the packet scheduler is 64 ns (PSCHED_SHIFT in net/pkt_sched.h). */
const TICKS_PER_MICROSECOND = 15.625
const TICKS_PER_SECOND = 15_625_000

/**
 * How many bytes may wait so that none waits longer than `latency`, beside a full bucket.
 *
 * @param latency milliseconds
 * @returns bytes, at most 2^32 - 1. Never throws.
 */
export function limitForLatency(rate: number, burst: number, latency: number): number {
  return Math.min(Math.floor((rate * latency) / 1000) + burst, UINT32 - 1)
}

/**
 * The bucket for the kernel.
 *
 * The time that a full bucket lasts is told in microseconds, rounded down, since that is how `tc` and the reference
 * plugins count and compare. Where that is too coarse (a bucket of 1500 bytes lasts 1.2 us at 10 Gbit/s: rounded, no full
 * packet would ever get through) or does not fit 32 bits, the bytes themselves are told as well.
 */
export function tbfOptions(tbf: Tbf): TbfOptions {
  const microseconds = Math.floor((tbf.burst * 1_000_000) / tbf.rate)
  const buffer = Math.floor(microseconds * TICKS_PER_MICROSECOND)
  const isExact = microseconds >= 1000 && buffer < UINT32
  return { rate: tbf.rate, limit: tbf.limit, buffer: buffer % UINT32, burst: isExact ? undefined : tbf.burst }
}

/** The bucket as the kernel shows it. A bucket that lasts longer than 274 seconds shows less than it holds. */
export function tbfFromOptions(options: TbfOptions): Tbf {
  return {
    rate: options.rate,
    burst: Math.round((options.buffer * options.rate) / TICKS_PER_SECOND),
    limit: options.limit
  }
}

/** Whether `shown`, as the kernel lists it, is what comes of setting `wanted`. */
export function isSameTbf(wanted: Tbf, shown: Tbf): boolean {
  if (wanted.rate !== shown.rate || wanted.limit !== shown.limit) return false
  const period = (UINT32 * wanted.rate) / TICKS_PER_SECOND
  const expected = wanted.burst % period
  // Rounded to microseconds when set, to ticks when shown; and near the end of the period it may wrap around.
  const tolerance = wanted.rate / 1_000_000 + wanted.rate / TICKS_PER_SECOND + 1
  const difference = Math.abs(expected - shown.burst)
  return difference <= tolerance || period - difference <= tolerance
}
