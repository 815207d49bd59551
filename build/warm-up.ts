/**
 * Calls plugins as runtimes do, in this very process and in namespaces that end with it, so that V8 has compiled what a call
 * needs and nothing else: half of a plugin's functions.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { CHAINS, type ChainScenario } from '../conformance/bench/chains.ts'
import { PATH, VERSION } from '../conformance/bench/networks.ts'
import { Stage } from '../conformance/bench/scenario.ts'
import { mount } from '../conformance/libc.ts'
import { isInside, SCRATCH } from '../conformance/sandbox.ts'
import { pluginFolders } from './project.ts'

/** Runs a plugin of this process. @returns its exit status */
export type Start = (plugin: string) => number

/** What a call is made with, and where it leaves its result. */
interface Call {
  readonly start: Start
  readonly environment: Readonly<Record<string, string>>
  readonly input: string
}

/** Makes the calls of every plugin that this kernel has an interface for; nothing where no sandbox is. */
export function warmUp(start: Start): void {
  if (!isInside()) return
  // State and leases, of which nothing is to stay.
  for (const path of ['/run', '/var/lib']) mount('tmpfs', path, { data: 'mode=755' })
  for (const path of [SCRATCH, '/run/netns']) mkdirSync(path, { recursive: true })
  const streams = [0, 1, 2].map(() => openSync('/dev/null', 'r+'))
  const dir = mkdtempSync(join(SCRATCH, 'bin-'))
  // A delegate is called in the process when it is the file that the process runs.
  for (const { name } of pluginFolders()) symlinkSync(process.execPath, join(dir, name))
  for (const spec of CHAINS) {
    try {
      callChain(spec, new Stage({ name: 'warm-up', dir }), start)
    } catch {
      // A kernel without the kind of interface, or a host without a command: its plugin is compiled as a whole.
    }
  }
  for (const fd of streams) closeSync(fd)
}

/** ADD twice as far as it can be told apart, and DEL with and without something there. */
function callChain(spec: ChainScenario, stage: Stage, start: Start): void {
  const netns = stage.container('c1')
  const of = (verb: string) => ({
    PATH,
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'warm-up',
    CNI_NETNS: netns.path,
    CNI_IFNAME: spec.ifName ?? 'eth0',
    CNI_PATH: stage.contestant.dir
  })
  stage.inside(() => {
    spec.furnish?.()
    const plugins = spec.plugins(stage)
    let prevResult: unknown
    const input = (plugin: object) => JSON.stringify({ cniVersion: VERSION, name: 'warm-up', ...plugin, prevResult })
    for (const plugin of plugins) {
      const said = made(String(plugin['type']), { start, environment: of('ADD'), input: input(plugin) })
      prevResult = JSON.parse(said)
    }
    for (const plugin of [...plugins, ...plugins].reverse())
      made(String(plugin['type']), { start, environment: of('DEL'), input: input(plugin) })
  })
  stage.close()
}

/** Makes a call with files as its streams. @returns what it printed */
function made(plugin: string, { start, environment, input }: Call): string {
  const [inPath, outPath] = [join(SCRATCH, 'in'), join(SCRATCH, 'out')]
  writeFileSync(inPath, input)
  const before = { ...process.env }
  replaceStream(0, inPath, 'r')
  replaceStream(1, outPath, 'w')
  try {
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, environment)
    start(plugin)
    return existsSync(outPath) ? readFileSync(outPath, 'utf8') : ''
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

/** The lowest descriptor that is free is the next one. */
function replaceStream(fd: number, path: string, flags: string): void {
  closeSync(fd)
  if (openSync(path, flags) !== fd) throw new Error(`warm up: descriptor ${fd} is taken`)
}
