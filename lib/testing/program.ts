/**
 * Programs of tests: TypeScript that a test starts as a process of its own, in another namespace for example.
 *
 *     const [node, ...args] = program(join(import.meta.dirname, 'echo-program.ts'))
 *     namespace.run(node, [...args, 'ask', 'tcp 192.0.2.1 80'])
 *
 * From source, Node reads some thirty files and strips their types before the first line runs: 0.75 s of processor time
 * for each start. esbuild does that once, and a start takes 0.09 s.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeAtomic } from '../sys/files.ts'

const ESBUILD = createRequire(import.meta.url).resolve('esbuild/bin/esbuild')

/** A program and its first arguments. */
export type Command = readonly [program: string, ...args: string[]]

/** At the head of a bundle: packages in CommonJS ask for Node's modules by require. */
export const REQUIRE =
  "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url)"

let ownDirectory = ''

/**
 * Where bundles lie: one directory for all test files of a run (the gate sets PATCHBAY_PROGRAMS), or one of this process's own.
 */
export function programsDirectory(): string {
  const shared = process.env['PATCHBAY_PROGRAMS'] ?? ''
  if (shared !== '') return shared
  if (ownDirectory === '') {
    ownDirectory = mkdtempSync(join(tmpdir(), 'patchbay-programs-'))
    process.on('exit', () => rmSync(ownDirectory, { recursive: true, force: true }))
  }
  return ownDirectory
}

/**
 * The command that starts a TypeScript file.
 *
 * @param file absolute
 */
export function program(file: string): Command {
  return programFromText(`import ${JSON.stringify(file)}`, '/')
}

/**
 * The command that starts `patchbay` from source. It is large, and started more often than anything else: as CommonJS, whose imports of
 * Node's modules load no more of them than is used, and with its compiled code kept, a start takes half the time.
 */
export function patchbayProgram(): Command {
  const start = join(programsDirectory(), 'patchbay.cjs')
  const bundle = join(programsDirectory(), 'patchbay-command.cjs')
  if (!existsSync(start)) {
    const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts')
    bundled(`import ${JSON.stringify(main)}`, '/', bundle, ['--format=cjs'])
    const compiled = join(programsDirectory(), 'compiled')
    writeAtomic(
      start,
      `const { enableCompileCache, flushCompileCache } = require('node:module')
enableCompileCache(${JSON.stringify(compiled)})
require(${JSON.stringify(bundle)})
flushCompileCache()
`,
      0o600,
      false
    )
  }
  return [process.execPath, '--no-warnings', start]
}

/**
 * The same for a program that is given as text, such as one call of the module under test.
 *
 * @param text TypeScript
 * @param folder what its relative imports are relative to
 */
export function programFromText(text: string, folder: string): Command {
  const digest = createHash('sha256').update(`${folder}\n${text}`).digest('hex').slice(0, 16)
  const bundle = join(programsDirectory(), `${digest}.mjs`)
  if (!existsSync(bundle)) bundled(text, folder, bundle, ['--format=esm', `--banner:js=${REQUIRE}`])
  return [process.execPath, '--no-warnings', bundle]
}

/** Bundles a text into a file. */
function bundled(text: string, folder: string, file: string, format: readonly string[]): void {
  // Two test files may need the same program at the same time: each writes a file of its own, and one of them stays.
  const unfinished = `${file}.${process.pid}`
  const options = ['--bundle', '--platform=node', '--target=node26', ...format]
  const args = [...options, '--loader=ts', `--outfile=${unfinished}`, '--log-level=error']
  // The program, not the module: that leaves a service of its own running.
  const done = spawnSync(ESBUILD, args, { cwd: folder, input: text, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`bundle a program: ${done.error?.message ?? done.stderr}`)
  renameSync(unfinished, file)
}
