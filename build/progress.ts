/** Says what takes long while it takes long: what is done, since when, and how long it usually takes. */
import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

/** Lines where there is no terminal come less often. */
const TERMINAL_MS = 1000
const LINE_MS = 10_000

/**
 * Runs `work`, and shows meanwhile that it goes on: a line that is rewritten every second on a terminal, a new line every ten
 * seconds elsewhere. A thread of its own writes it, since a compiler that is waited for stops this one.
 *
 * @param what `building the native engine`
 * @param usual `two minutes`
 */
export async function withProgress<T>(what: string, usual: string, work: () => T | Promise<T>): Promise<T> {
  const isTerminal = process.stderr.isTTY === true
  writeSync(2, `${what} (usually ${usual}) ...\n`)
  const ticker = new Worker(TICKER, {
    eval: true,
    workerData: { what, isTerminal, every: isTerminal ? TERMINAL_MS : LINE_MS }
  })
  ticker.unref()
  try {
    return await work()
  } finally {
    await ticker.terminate()
    if (isTerminal) writeSync(2, '\r\u001b[K')
  }
}

const TICKER = `
const { writeSync } = require('node:fs')
const { what, isTerminal, every } = require('node:worker_threads').workerData
const started = Date.now()
setInterval(() => {
  const seconds = Math.round((Date.now() - started) / 1000)
  writeSync(2, isTerminal ? '\\r\\u001b[K  ' + seconds + ' s' : what + ': ' + seconds + ' s so far\\n')
}, every)
`
