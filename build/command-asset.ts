/**
 * Parts of the Node engine's executable that lie beside its main script, as assets that are compiled when they are asked
 * for: what a plugin's start has to read is half as much without the command, and the command's start without gRPC.
 */
import { join } from 'node:path'
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

/** The page of `patchbay ui`, which a browser runs. */
export const PAGE_ASSET: Asset = { name: 'ui.html', module: 'cli/ui/page/bundle.ts' }

/** An asset's text as cli/asset.ts runs it. */
export function asAsset(text: string): string {
  return `(function (exports, require, module, __filename, __dirname) {${text}\n})`
}

/** Stands in for the module that became an asset. */
function loaderOf(name: string): string {
  return `module.exports = require('./asset.ts').assetExports(${JSON.stringify(name)})\n`
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
