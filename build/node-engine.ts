/** Builds dist/node: one bundle inside the pinned Node, made by pkg. */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { bundledPage } from '../cli/ui/page/bundle.ts'
import {
  type Asset,
  COMMAND_ASSET,
  cacheName,
  codeCacheOf,
  fromAsset,
  GRPC_ASSET,
  PAGE_ASSET,
  PROGRAM_ASSETS
} from './command-asset.ts'
import { inputsDigest, isUpToDate, publish, unfinished } from './executables.ts'
import { lazyBuiltins } from './lazy-builtins.ts'
import { licensesOf, packagesOf } from './licenses.ts'
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
 * file that loads any shared object into a root process.
 */
const SWITCHES: readonly string[] = ['--no-warnings', '--openssl-config=/dev/null']

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
      useCodeCache: true
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
  /** Half the start-up time; but no two caches are alike, and only this processor's can be made. */
  readonly useCodeCache: boolean
}

/** Makes an executable. @returns the npm packages that are in it */
export async function makeNodeExecutable(wanted: NodeExecutable): Promise<readonly string[]> {
  const { script, output, arch, nodePath, useCodeCache } = wanted
  const { plugins, parts, files } = await bundles()
  const assets = new Map<string, string | Uint8Array>()
  for (const [{ name }, text] of parts) {
    assets.set(name, text)
    if (useCodeCache && name !== PAGE_ASSET.name) assets.set(cacheName(name), codeCacheOf(text, name))
  }
  const pathOf = (name: string): string => `${script}.${name}`
  try {
    writeFileSync(script, plugins)
    for (const [name, content] of assets) writeFileSync(pathOf(name), content)
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
          useCodeCache,
          execArgv: SWITCHES,
          execArgvExtension: 'none',
          assets: Object.fromEntries([...assets.keys()].map(name => [name, pathOf(name)]))
        }
      })
    )
    forgetVariables(output)
    return packagesOf(files)
  } finally {
    rmSync(script, { force: true })
    for (const name of assets.keys()) rmSync(pathOf(name), { force: true })
  }
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
  readonly plugins: string
  readonly parts: ReadonlyMap<Asset, string>
  readonly files: readonly string[]
}

/** All plugins, and each asset, as one CommonJS text: only that form gets a code cache, half the start-up. */
async function bundles(): Promise<Bundles> {
  const plugins = await bundle({
    entryPoints: [join(ROOT, entryPoint('node'))],
    plugins: [fromAsset(COMMAND_ASSET), lazyBuiltins()]
  })
  const parts = new Map<Asset, string>()
  const files = [...plugins.files]
  const add = async (asset: Asset, inside: readonly Plugin[]): Promise<void> => {
    const made = await bundle({ entryPoints: [join(ROOT, asset.module)], plugins: [...inside] })
    parts.set(asset, made.text)
    files.push(...made.files)
  }
  await add(COMMAND_ASSET, [...[GRPC_ASSET, PAGE_ASSET, ...PROGRAM_ASSETS].map(fromAsset), lazyBuiltins()])
  for (const asset of PROGRAM_ASSETS) await add(asset, [fromAsset(GRPC_ASSET), lazyBuiltins()])
  // The packages call what they take from node:crypto as it is.
  await add(GRPC_ASSET, [])
  const page = await bundledPage()
  parts.set(PAGE_ASSET, page.text)
  files.push(...page.files)
  return { plugins: plugins.text, parts, files: [...new Set(files)] }
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
