/**
 * Records a terminal: runs the commands of recording/story.ts on a host of their own and writes what they said to
 * docs/recording.cast, from which readme.ts takes the text of README.md. Needs root.
 *
 *     node build/recording.ts [--check]
 *
 * With --check nothing is written: whether the commands still say what is recorded is its exit status.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sandboxEnvironment, whyNoSandbox } from '../conformance/sandbox.ts'
import { ENGINES, NODE_BIN, ROOT } from './project.ts'
import { CAST, castOf, type Scene } from './recording/cast.ts'
import { Steady } from './recording/steady.ts'
import { STORY } from './recording/story.ts'
import { furnish, onOwnHost, runLine, startAgent } from './recording/world.ts'

const INSIDE = '--inside'

/**
 * Runs the story with these plugins.
 *
 * @returns the recording, the same for each run
 * @throws Error when a command does not end as the story says
 */
export function record(binDir: string): string {
  const why = whyNoSandbox()
  if (why !== undefined) throw new Error(`record a terminal: ${why}`)
  const [command = '', ...args] = onOwnHost([process.execPath, '--no-warnings', import.meta.filename, INSIDE, binDir])
  const child = spawnSync(command, args, { encoding: 'utf8', env: sandboxEnvironment() })
  if (child.status !== 0) throw new Error(child.stderr.trim() || `record a terminal: exit ${child.status}`)
  return castOf(JSON.parse(child.stdout) as readonly Scene[])
}

/** The part that runs on the story's host: scenes go out as JSON. */
async function inside(binDir: string): Promise<void> {
  furnish()
  const agent = await startAgent(binDir)
  const steady = new Steady()
  const scenes: Scene[] = []
  for (const line of STORY) scenes.push({ typed: line.typed, shown: steady.text(await runLine(line, binDir)) })
  agent.kill('SIGTERM')
  process.stdout.write(JSON.stringify(scenes))
}

function builtPlugins(): string {
  const built = ENGINES.toReversed().map(engine => join(ROOT, 'dist', engine, 'bin'))
  const found = built.find(directory => existsSync(directory))
  if (found === undefined) throw new Error('record a terminal: no executables in dist: npm run build')
  return found
}

async function main([word, binDir = '']: readonly string[]): Promise<number> {
  if (word === INSIDE) {
    await inside(binDir)
    return 0
  }
  const cast = record(builtPlugins())
  const path = join(ROOT, CAST)
  if (word === '--check') {
    if (existsSync(path) && readFileSync(path, 'utf8') === cast) return 0
    process.stderr.write(`${CAST} is not what the commands say: sudo npm run recording\n`)
    return 1
  }
  writeFileSync(path, cast)
  const readme = spawnSync(NODE_BIN, ['--no-warnings', 'build/readme.ts', '--write'], { cwd: ROOT, stdio: 'inherit' })
  return readme.status ?? 1
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  })
}
