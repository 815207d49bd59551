/**
 * The guest suite: one boot of another kernel (lib/testing/guest.ts) for all its files.
 *
 * The processor in there is emulated, and starting a test file from source takes it ten to twenty seconds: Node's stripper
 * of types is itself a large program. So the files are bundled outside, and what is left of TypeScript in there is nothing.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { guestObstacle, runInGuest } from '../lib/testing/guest.ts'
import { patchbayProgram, programsDirectory, REQUIRE } from '../lib/testing/program.ts'
import { type Message, type Order, SLOWNESS } from './guest-order.ts'
import { NODE_BIN, ROOT } from './project.ts'
import { timeoutOf } from './test-file.ts'
import type { TestRun } from './test-kinds.ts'
import { nameOf, type Report } from './test-report.ts'

const BOOT_SECONDS = 60

/**
 * V8 without a compiler: emulated, it is as fast (what it compiles has to be translated again), and its record of compiled
 * code, which it sometimes finds wrong in there and aborts (`Check failed: it->second.Size() > offset`), stays empty.
 */
export const GUEST_ENV = { NODE_OPTIONS: '--jitless', PATCHBAY_SLOWNESS: String(SLOWNESS) }

/** Runs the files in the guest, telling of each as it begins and ends. */
export async function runGuestFiles(report: Report, runs: readonly TestRun[], strict: boolean): Promise<void> {
  const what = 'guest (boot and run)'
  report.begin(what)
  const obstacle = guestObstacle()
  if (obstacle !== undefined) {
    report.notRun('guest suite', obstacle)
    return
  }
  const told = new Set<string>()
  const onLine = (line: string) => {
    const message = messageOf(line)
    if (message === undefined) return
    if ('begin' in message) {
      report.begin(nameOf(message.begin))
      return
    }
    told.add(nameOf(message.end.run))
    report.file(message.end)
  }
  const seconds = runs.reduce((sum, { path }) => sum + secondsOf(path), BOOT_SECONDS)
  try {
    const argv = await prepare(runs, strict)
    const measure = process.env['PATCHBAY_MEASURE'] ?? ''
    const env = { ...GUEST_ENV, PATCHBAY_PROGRAMS: programsDirectory(), PATCHBAY_MEASURE: measure }
    const { status, console } = await runInGuest({ argv, directory: ROOT, env, seconds, onLine })
    const ended = status === undefined ? [`the guest died or took more than ${seconds} s`] : []
    const missing = runs.map(nameOf).filter(name => !told.has(name))
    const problems = [...ended, ...missing.map(name => `no result from ${name}`)]
    report.step(what, problems.length > 0 ? [...problems, console].join('\n') : '')
  } catch (error) {
    report.step(what, error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}

/** Bundles the files and the program that runs them. @returns the command for the guest */
async function prepare(runs: readonly TestRun[], strict: boolean): Promise<readonly string[]> {
  // The guest sees the machine's files.
  const folder = join(programsDirectory(), 'guest')
  const runner = 'build/test-in-guest.ts'
  const bundleOf = (path: string) => join(folder, path.replace(/\.ts$/, '.mjs'))
  await Promise.all([...new Set([runner, ...runs.map(({ path }) => path)])].map(path => bundle(path, bundleOf(path))))
  // The command, which the conformance suite is part of, is found by the test files that start it, with its compiled code.
  const [node, ...command] = patchbayProgram()
  spawnSync(node, [...command, 'agent', '--help'], { env: { ...process.env, ...GUEST_ENV } })
  const order: Order = { strict, runs: runs.map(run => ({ run, bundle: bundleOf(run.path) })) }
  const orderPath = join(folder, 'order.json')
  writeFileSync(orderPath, JSON.stringify(order))
  return [NODE_BIN, '--no-warnings', bundleOf(runner), orderPath]
}

/** @param path of a source file, from the root */
export async function bundle(path: string, outfile: string): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true })
  await build({
    entryPoints: [join(ROOT, path)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    external: ['esbuild', 'pkg'],
    banner: { js: REQUIRE },
    plugins: [keepPlaces()],
    logLevel: 'silent'
  })
}

/** What stands for `import.meta.NAME` in a bundled module: a constant of its own. */
const PLACES: Readonly<Record<string, string>> = {
  'import.meta.dirname': 'placeDirname',
  'import.meta.filename': 'placeFilename',
  'import.meta.url': 'placeUrl'
}

/** In a bundle, each module still is where its source is: tests find their data by it. */
function keepPlaces(): Plugin {
  return {
    name: 'keep-places',
    setup: ({ initialOptions, onLoad }) => {
      initialOptions.define = { ...initialOptions.define, ...PLACES }
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const [folder, file, url] = [dirname(path), path, `file://${path}`].map(text => JSON.stringify(text))
        const constants = `const placeDirname = ${folder}, placeFilename = ${file}, placeUrl = ${url}; `
        return { contents: constants + readFileSync(path, 'utf8'), loader: 'ts' }
      })
    }
  }
}

function secondsOf(path: string): number {
  return timeoutOf(readFileSync(join(ROOT, path), 'utf8')) * SLOWNESS
}

function messageOf(line: string): Message | undefined {
  return /^\{"(?:begin|end)":/.test(line) ? JSON.parse(line) : undefined
}
