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

/** The asset may ask for nothing but Node's own modules, whatever lies in the working directory. */
function loaderOf(name: string): string {
  return `
const { compileFunction } = require('node:vm')
const { getAsset } = require('node:sea')
const names = ['exports', 'require', 'module', '__filename', '__dirname']
const start = compileFunction(getAsset(${JSON.stringify(name)}, 'utf8'), names, { filename: ${JSON.stringify(name)} })
start(exports, process.getBuiltinModule, module, process.execPath, '/')
`
}

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
        contents: loaderOf(name),
        resolveDir: join(ROOT, 'cli'),
        loader: 'js'
      }))
    }
  }
}
