/**
 * The command apart from the plugins: what a plugin's start has to read is half as much when `patchbay`'s own part is an
 * asset of the executable, compiled only when the command is asked for.
 */
import { join } from 'node:path'
import type { Plugin } from 'esbuild'
import { ROOT } from './project.ts'

/** The asset's name in the executable. */
export const COMMAND_ASSET = 'command.cjs'

/** The asset may ask for nothing but Node's own modules, whatever lies in the working directory. */
const LOADER = `
const { compileFunction } = require('node:vm')
const { getAsset } = require('node:sea')
const names = ['exports', 'require', 'module', '__filename', '__dirname']
const start = compileFunction(getAsset(${JSON.stringify(COMMAND_ASSET)}, 'utf8'), names, { filename: ${JSON.stringify(COMMAND_ASSET)} })
start(exports, process.getBuiltinModule, module, process.execPath, '/')
`

/** For esbuild: `import()` of cli/command.ts becomes the asset. */
export function commandFromAsset(): Plugin {
  return {
    name: 'command-from-asset',
    setup: build => {
      build.onResolve({ filter: /^\.\/command\.ts$/ }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: COMMAND_ASSET, namespace: 'command' } : undefined
      )
      build.onLoad({ filter: /./, namespace: 'command' }, () => ({
        contents: LOADER,
        resolveDir: join(ROOT, 'cli'),
        loader: 'js'
      }))
    }
  }
}
