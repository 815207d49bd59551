/**
 * Builds the executables.
 *
 *     node build/build.ts ENGINE... [--if-stale] [--native-if-possible] [--dynamic]
 *
 * The native executable brings its own libc and runs on any distribution. --dynamic: it is linked with this host's, which
 * is what happens too, and is said, where the tools for the other are missing.
 */
import { statSync } from 'node:fs'
import { relative } from 'node:path'
import { buildNativeEngine } from './native-engine.ts'
import { CLANG_ADVICE, findClang, staticObstacle } from './native-toolchain.ts'
import { buildNodeEngine } from './node-engine.ts'
import { binDir, ENGINES, type Engine, executable, pluginFolders, ROOT } from './project.ts'

async function buildEngine(engine: Engine, ifStale: boolean, isStatic: boolean): Promise<void> {
  const started = Date.now()
  const target = relative(ROOT, executable(engine))
  const built = engine === 'node' ? await buildNodeEngine(ifStale) : await buildNativeEngine(ifStale, isStatic)
  if (!built) return
  const megabytes = (statSync(executable(engine)).size / 1e6).toFixed(1)
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const links = `${pluginFolders().length} plugins in ${relative(ROOT, binDir(engine))}`
  process.stderr.write(`built ${target}: ${megabytes} MB, ${links} (${seconds} s)\n`)
}

/** Whether the native engine is linked with this host's libc: asked for, or for want of tools. */
function linksDynamically(args: readonly string[]): boolean {
  const clang = findClang()
  const obstacle = clang === undefined ? undefined : staticObstacle(clang)
  if (args.includes('--dynamic') || obstacle === undefined) return args.includes('--dynamic')
  process.stderr.write(
    `the native engine is linked dynamically; for the smaller and faster released form: ${obstacle}\n`
  )
  return true
}

async function main(args: readonly string[]): Promise<void> {
  for (const engine of ENGINES.filter(name => args.includes(name))) {
    if (engine === 'native' && args.includes('--native-if-possible') && findClang() === undefined) {
      process.stderr.write(`not built: the native engine: ${CLANG_ADVICE}\n`)
      continue
    }
    const isDynamic = engine === 'native' && linksDynamically(args)
    await buildEngine(engine, args.includes('--if-stale'), !isDynamic)
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
