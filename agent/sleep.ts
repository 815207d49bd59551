/** A process that did not run: its host was suspended, or it was stopped. */

/** How often it is looked whether this process gets its turn, and for how long it may have had none. */
const TURN_MS = 1000
const ASLEEP_MS = 5000

/** @param slept hears afterwards for how many seconds it was; by the wall clock, since others do not run while a host is suspended */
export function noticeSleep(slept: (seconds: number) => void): NodeJS.Timeout {
  let last = Date.now()
  return setInterval(() => {
    const passed = Date.now() - last
    last = Date.now()
    if (passed > ASLEEP_MS) slept(Math.round(passed / 1000))
  }, TURN_MS)
}
