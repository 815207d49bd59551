/** Runs test files inside the guest, one after the other: `node test-in-guest.mjs ORDER.json`. */
import { readFileSync } from 'node:fs'
import { type Message, type Order, SLOWNESS } from './guest-order.ts'
import { runTestFile } from './test-file.ts'

const { runs, strict }: Order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
const tell = (message: Message) => process.stdout.write(`${JSON.stringify(message)}\n`)
for (const { run, bundle } of runs) {
  tell({ begin: run })
  tell({ end: await runTestFile(run, strict, { bundle, slowness: SLOWNESS }) })
}
