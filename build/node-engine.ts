/** Builds dist/node: one bundle inside the pinned Node, made by pkg. */
import { rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { COMMAND_ASSET, commandFromAsset } from './command-asset.ts'
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
  const asset = `${script}.${COMMAND_ASSET}`
  try {
    const { plugins, command, files } = await bundles()
    writeFileSync(script, plugins)
    writeFileSync(asset, command)
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
          assets: { [COMMAND_ASSET]: asset }
        }
      })
    )
    return packagesOf(files)
  } finally {
    rmSync(script, { force: true })
    rmSync(asset, { force: true })
  }
}

/** The npm packages that go into the executable. */
export async function bundledPackages(): Promise<readonly string[]> {
  return packagesOf((await bundles()).files)
}

interface Bundles {
  readonly plugins: string
  readonly command: string
  readonly files: readonly string[]
}

/** All plugins, and the command, each as one CommonJS text: only that form gets a code cache, half the start-up. */
async function bundles(): Promise<Bundles> {
  const plugins = await bundle({
    entryPoints: [join(ROOT, entryPoint('node'))],
    plugins: [commandFromAsset(), lazyBuiltins()]
  })
  const command = await bundle({
    entryPoints: [join(ROOT, 'cli', 'command.ts')],
    plugins: [lazyBuiltins()]
  })
  return { plugins: plugins.text, command: command.text, files: plugins.files.concat(command.files) }
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
