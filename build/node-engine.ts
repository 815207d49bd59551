/** Builds dist/node: one bundle inside the pinned Node, made by pkg. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { bundledPage } from '../cli/ui/page/bundle.ts'
import { sandboxCommand, sandboxEnvironment, whyNoSandbox } from '../conformance/sandbox.ts'
import {
  type Asset,
  asAsset,
  COMMAND_ASSET,
  fromAsset,
  GRPC_ASSET,
  PAGE_ASSET,
  PROGRAM_ASSETS
} from './command-asset.ts'
import { inputsDigest, isUpToDate, publish, unfinished } from './executables.ts'
import { lazyBuiltins } from './lazy-builtins.ts'
import { licensesOf, packagesOf } from './licenses.ts'
import { namesAsTexts, PLUGIN_ENTRY, pluginAssets, registryOf, startedFromAssets } from './plugin-assets.ts'
import { withProgress } from './progress.ts'
import { entryPoint, NODE_BIN, ROOT } from './project.ts'

/** The part of pkg used here: it makes a single executable of a script and a given Node. */
type MakeExecutable = (
  entry: string,
  options: {
    readonly targets: readonly { platform: string; arch: string; nodeRange: string; output: string }[]
    readonly nodePath: string
    readonly useLocalNode: boolean
    readonly seaConfig: Readonly<Record<string, unknown>>
  }
) => Promise<void>

/**
 * The switches baked into the executable. `--openssl-config`: without it the environment's OPENSSL_CONF may name a
 * file that loads any shared object into a root process. `--v8-pool-size`: of four threads that compile and collect beside the
 * program, a plugin that has ended after a few milliseconds has only waited for.
 */
const SWITCHES: readonly string[] = ['--no-warnings', '--openssl-config=/dev/null', '--v8-pool-size=1']

/** Builds the Node engine unless it is up to date. @returns whether it had to be built */
export async function buildNodeEngine(ifStale: boolean): Promise<boolean> {
  const digest = inputsDigest('node', process.version)
  if (ifStale && isUpToDate('node', digest)) return false
  await withProgress('building the node engine', '15 seconds', () => makeAndPublish(digest))
  return true
}

async function makeAndPublish(digest: string): Promise<void> {
  const output = unfinished('node')
  try {
    const packages = await makeNodeExecutable({
      script: unfinished('node', '.cjs'),
      output,
      arch: process.arch,
      nodePath: NODE_BIN,
      withCodeCache: true
    })
    publish('node', output, digest, licensesOf([`node-linux-${process.arch}`, ...packages]))
  } finally {
    rmSync(output, { force: true })
  }
}

export interface NodeExecutable {
  /** Where the bundle lies while it is packed; this very path stays in the executable. */
  readonly script: string
  readonly output: string
  readonly arch: string
  /** The Node of that processor, of this Node's version. */
  readonly nodePath: string
  /** Most of the start-up time; but no two caches are alike to the last bit, and only this processor's can be made. */
  readonly withCodeCache: boolean
}

/** Makes an executable. @returns the npm packages that are in it */
export async function makeNodeExecutable(wanted: NodeExecutable): Promise<readonly string[]> {
  const { script, output, arch, nodePath, withCodeCache } = wanted
  const { main, assets, files } = await bundles()
  const folder = `${script}.assets`
  try {
    writeFileSync(script, main)
    mkdirSync(folder)
    for (const [name, text] of assets) writeFileSync(join(folder, name), text)
    const programs = [...assets.keys()].filter(name => name !== PAGE_ASSET.name)
    if (withCodeCache) makeCodeCaches(programs, folder)
    const sea: { readonly default: MakeExecutable } = createRequire(import.meta.url)('pkg/lib-es5/sea')
    const target = { platform: 'linux', arch, nodeRange: `node${process.versions.node}`, output }
    await quietly(() =>
      sea.default(script, {
        targets: [target],
        nodePath,
        // Another processor's Node cannot be asked for its version here; it is the one that the lock file names.
        useLocalNode: true,
        // 'none': neither NODE_OPTIONS nor the command line can add a switch such as --require.
        seaConfig: {
          execArgv: SWITCHES,
          execArgvExtension: 'none',
          assets: Object.fromEntries(
            readdirSync(folder)
              .sort()
              .map(name => [name, join(folder, name)])
          )
        }
      })
    )
    forgetVariables(output)
    return packagesOf(files)
  } finally {
    rmSync(script, { force: true })
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * The main script needs none: it is a page long. Who may make namespaces has plugins called in a sandbox, so that what calls
 * don't need is not in their caches.
 */
function makeCodeCaches(names: readonly string[], cwd: string): void {
  const program = [NODE_BIN, ...SWITCHES, join(ROOT, 'build', 'code-cache.ts'), ...names]
  // The sandbox covers /run and /var/lib.
  const isHidden = ['/run/', '/var/lib/'].some(path => [ROOT, cwd].some(one => one.startsWith(path)))
  const ways = [{ command: program, env: process.env }]
  if (!isHidden && whyNoSandbox() === undefined)
    ways.unshift({ command: [...sandboxCommand(program)], env: sandboxEnvironment() })
  let why = ''
  for (const { command, env } of ways) {
    const [first = '', ...args] = command
    const child = spawnSync(first, args, { cwd, env, encoding: 'utf8' })
    if (child.status === 0) return
    why = child.error?.message ?? child.stderr
  }
  throw new Error(`compile the assets: ${why}`)
}

/**
 * Variables by which the environment makes Node write files before any of our code runs, into whatever directory they name.
 * Neither a switch nor the executable's own configuration turns that off.
 */
const WRITING_VARIABLES: readonly string[] = ['NODE_COMPILE_CACHE', 'NODE_V8_COVERAGE']

/**
 * Lets the executable look for other names, which nobody can set: a variable's name is a text of Node's C++ code, a literal
 * behind another one, and as such it gets a first byte of 0, the end.
 *
 * @throws Error for a Node that has no such literal: it may read the variable in another way
 */
function forgetVariables(path: string): void {
  const text = readFileSync(path, 'latin1')
  const fd = openSync(path, 'r+')
  try {
    for (const name of WRITING_VARIABLES) {
      const literal = new RegExp(`[\\x20-\\x7e]\\0(?=${name}\\0)`, 'g')
      const places = [...text.matchAll(literal)].map(match => match.index + 2)
      if (places.length === 0) throw new Error(`build dist/node: this Node has no literal ${name}`)
      for (const place of places) writeSync(fd, Uint8Array.of(0), 0, 1, place)
    }
  } finally {
    closeSync(fd)
  }
}

/** The npm packages that go into the executable. */
export async function bundledPackages(): Promise<readonly string[]> {
  return packagesOf((await bundles()).files)
}

interface Bundles {
  /** The main script's text. */
  readonly main: string
  /** Texts of the assets, by their names. */
  readonly assets: ReadonlyMap<string, string>
  /** What all of them are made of. */
  readonly files: readonly string[]
}

/** The main script, which picks a plugin or the command, and each asset, as one CommonJS text. */
async function bundles(): Promise<Bundles> {
  const assets = new Map<string, string>()
  const main = await bundle({
    entryPoints: [join(ROOT, entryPoint('node'))],
    plugins: [fromAsset(COMMAND_ASSET), startedFromAssets(), namesAsTexts()]
  })
  const files = [...main.files]
  const add = async (name: string, what: BuildOptions): Promise<void> => {
    const made = await bundle(what)
    assets.set(name, asAsset(made.text))
    files.push(...made.files)
  }
  const addModule = ({ name, module }: Asset, plugins: Plugin[]): Promise<void> =>
    add(name, { entryPoints: [join(ROOT, module)], plugins })
  const parts = [GRPC_ASSET, PAGE_ASSET, ...PROGRAM_ASSETS].map(fromAsset)
  await addModule(COMMAND_ASSET, [...parts, namesAsTexts(), lazyBuiltins()])
  for (const asset of PROGRAM_ASSETS) await addModule(asset, [fromAsset(GRPC_ASSET), lazyBuiltins()])
  // The packages call what they take from node:crypto as it is.
  await addModule(GRPC_ASSET, [])
  for (const { name, plugins } of pluginAssets()) {
    await add(name, {
      stdin: { contents: PLUGIN_ENTRY, resolveDir: join(ROOT, 'build'), loader: 'ts' },
      plugins: [registryOf(plugins), lazyBuiltins()]
    })
  }
  const page = await bundledPage()
  assets.set(PAGE_ASSET.name, page.text)
  files.push(...page.files)
  return { main: main.text, assets, files: [...new Set(files)] }
}

async function bundle(what: BuildOptions): Promise<{ readonly text: string; readonly files: readonly string[] }> {
  const result = await build({
    ...what,
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    // Names stay: a stack trace from the field must be readable.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'eof',
    logLevel: 'warning'
  })
  const [file] = result.outputFiles ?? []
  if (file === undefined || result.warnings.length > 0) throw new Error('bundle: see the warnings above')
  return { text: file.text, files: Object.keys(result.metafile?.inputs ?? {}) }
}

/** Runs pkg without its progress lines, which it writes to stdout; ours tell what is being built. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const log = console.log
  console.log = () => {}
  try {
    await work()
  } finally {
    console.log = log
  }
}
