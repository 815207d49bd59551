/**
 * Parts of the Node engine's executable that lie beside its main script, as assets that are compiled when they are asked
 * for: what a plugin's start has to read is half as much without the command, and the command's start without gRPC.
 */
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import type { Plugin } from 'esbuild'
import { ROOT } from './project.ts'

/** An `import()` that leads to an asset. */
export interface Asset {
  /** Its name in the executable. */
  readonly name: string
  /** The module, from the root. */
  readonly module: string
}

export const COMMAND_ASSET: Asset = { name: 'command.cjs', module: 'cli/command.ts' }
export const GRPC_ASSET: Asset = { name: 'grpc.cjs', module: 'agent/etcd/packages.ts' }
/** Programs that read their own arguments: no other command reads them. */
export const PROGRAM_ASSETS: readonly Asset[] = [
  { name: 'agent.cjs', module: 'agent/main.ts' },
  { name: 'conformance.cjs', module: 'conformance/main.ts' }
]

/** The page of `patchbay ui`, which no code cache is made of: a browser runs it. */
export const PAGE_ASSET: Asset = { name: 'ui.html', module: 'cli/ui/page/bundle.ts' }

/** What the code of an asset is given. */
const NAMES: readonly string[] = ['exports', 'require', 'module', '__filename', '__dirname']

/** The asset that holds what V8 has made of another one's code. */
export function cacheName(asset: string): string {
  return `${asset}.cache`
}

/** What V8 makes of an asset's code, to be used by the same Node on the same kind of processor. */
export function codeCacheOf(text: string, name: string): Uint8Array {
  const made: { readonly cachedData?: Uint8Array } = compileFunction(text, NAMES, {
    filename: name,
    produceCachedData: true
  })
  if (made.cachedData === undefined) throw new Error(`compile ${name}: V8 gives no cache`)
  return made.cachedData
}

/**
 * The asset may ask for nothing but Node's own modules, whatever lies in the working directory. A cache that is not there, as
 * in releases, or that V8 does not take costs time alone.
 */
function loaderOf(name: string): string {
  return `
const { compileFunction } = require('node:vm')
const { getAsset, getRawAsset } = require('node:sea')
const cacheOf = name => {
  try {
    return Buffer.from(getRawAsset(name))
  } catch {
    return undefined
  }
}
const options = { filename: ${JSON.stringify(name)}, cachedData: cacheOf(${JSON.stringify(cacheName(name))}) }
const start = compileFunction(getAsset(${JSON.stringify(name)}, 'utf8'), ${JSON.stringify(NAMES)}, options)
start(exports, process.getBuiltinModule, module, process.execPath, '/')
`
}

/** Has the same function as the module that makes the page from source. */
const PAGE_LOADER = `
const { getAsset } = require('node:sea')
exports.pageText = async () => getAsset(${JSON.stringify(PAGE_ASSET.name)}, 'utf8')
`

/** For esbuild: `import()` of the module becomes the asset. */
export function fromAsset({ name, module }: Asset): Plugin {
  const file = module.slice(module.lastIndexOf('/') + 1)
  return {
    name: `${name} from an asset`,
    setup: build => {
      build.onResolve({ filter: new RegExp(`/${file.replace('.', '\\.')}$`) }, ({ kind, path, resolveDir }) =>
        kind === 'dynamic-import' && join(resolveDir, path) === join(ROOT, module)
          ? { path: name, namespace: name }
          : undefined
      )
      build.onLoad({ filter: /./, namespace: name }, () => ({
        contents: name === PAGE_ASSET.name ? PAGE_LOADER : loaderOf(name),
        resolveDir: join(ROOT, 'cli'),
        loader: 'js'
      }))
    }
  }
}
