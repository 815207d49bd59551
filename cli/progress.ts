/**
 * Shows that a command goes on when it takes longer than a second: a bar in the last line of the terminal, which goes before
 * anything else is written and at the end. A thread of its own draws it, since who waits for an agent does nothing else.
 */
import { isatty } from 'node:tty'
import { Worker } from 'node:worker_threads'
import type { Output } from './output.ts'

const DELAY_MS = 1000
const STEP_MS = 100
const ERASE = '\r\u001b[K'

/** In what both threads see: who may write, and whether the bar is there. */
const WRITER = 0
const SHOWN = 1
const FREE = 0
const MAIN = 2

/**
 * Runs `work` with an output before which the bar gives way. Where standard error is no terminal there is no bar.
 *
 * @param what stands before the bar: `patchbay network rm`
 */
export async function withProgress<T>(what: string, output: Output, work: (output: Output) => Promise<T>): Promise<T> {
  if (!isatty(2)) return work(output)
  const state = new Int32Array(new SharedArrayBuffer(8))
  const drawer = new Worker(DRAWER, { eval: true, workerData: { what, state, DELAY_MS, STEP_MS } })
  drawer.unref()
  const alone = (write: () => void, after: number): void => {
    // The other one writes a line, which takes microseconds.
    while (Atomics.compareExchange(state, WRITER, FREE, MAIN) !== FREE);
    if (Atomics.exchange(state, SHOWN, 0) === 1) output.err(ERASE)
    write()
    Atomics.store(state, WRITER, after)
  }
  const givingWay: Output = {
    ...output,
    out: text => alone(() => output.out(text), FREE),
    err: text => alone(() => output.err(text), FREE)
  }
  try {
    return await work(givingWay)
  } finally {
    alone(() => {}, MAIN)
    await drawer.terminate()
  }
}

/** A piece of the bar goes to and fro: how long it takes nobody knows, only for how long it has. */
const DRAWER = `
const { writeSync } = require('node:fs')
const { what, state, DELAY_MS, STEP_MS } = require('node:worker_threads').workerData
const [WIDTH, PIECE] = [20, 5]
const started = Date.now()
let step = 0
setTimeout(() => setInterval(() => {
  if (Atomics.compareExchange(state, 0, 0, 1) !== 0) return
  const way = WIDTH - PIECE
  const at = way - Math.abs(way - (step++ % (2 * way)))
  const bar = ' '.repeat(at) + '='.repeat(PIECE) + ' '.repeat(way - at)
  const seconds = Math.floor((Date.now() - started) / 1000)
  writeSync(2, '\\r\\u001b[K' + what + ' [' + bar + '] ' + seconds + ' s')
  Atomics.store(state, 1, 1)
  Atomics.store(state, 0, 0)
}, STEP_MS), DELAY_MS - STEP_MS)
`
