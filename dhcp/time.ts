/** Time as leases count it. */
import { uptime } from 'node:os'
import { setTimeout } from 'node:timers/promises'

/**
 * Milliseconds since the machine was started, sleep included. Setting the clock neither ends nor prolongs a lease, and a
 * daemon that is started again goes on counting where the last one was.
 */
export function clock(): number {
  return uptime() * 1000
}

/** At most so long at a stretch: timers do not run while the machine sleeps, the lease does. */
const LONGEST_PAUSE = 30_000

/** Waits; rejects with the signal's reason. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** Waits until that moment of `clock()`, for ever when it is Infinity. */
export async function pauseUntil(moment: number, signal: AbortSignal): Promise<void> {
  for (let left = moment - clock(); left > 0; left = moment - clock()) {
    await pause(Math.min(left, LONGEST_PAUSE), signal)
  }
}

/** Somewhat more or less, so that clients that began together do not go on together. */
export function jittered(milliseconds: number, part = 0.1): number {
  return milliseconds * (1 + part * (2 * Math.random() - 1))
}
