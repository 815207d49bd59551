/**
 * Has V8 compile texts and writes what it made of them, for the same Node on the same kind of processor.
 *
 *     node build/code-cache.ts FILE...
 *
 * The cache of FILE goes to FILE.cache. Plugins are called first, where that can be done; the cache of one that was not
 * called has every function in it: looking them up is faster than compiling what is needed. Of other programs what runs
 * first is compiled.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Script } from 'node:vm'
import { compiled, exportsOf } from '../cli/asset.ts'
import { PLUGIN_ASSET } from './plugin-assets.ts'
import { warmUp } from './warm-up.ts'

/** While plugins are called: nothing that was compiled is forgotten. */
const CALLED: readonly string[] = ['flush-bytecode']

/** While a plugin is compiled as a whole, and not taken from what was compiled of it before. */
const WHOLE: readonly string[] = ['lazy', 'compilation-cache']

/** A cache is only taken under the very switches that it was written under: what `body` needs is put back. */
function under<T>(without: readonly string[], body: () => T): T {
  for (const name of without) setFlagsFromString(`--no-${name}`)
  const result = body()
  for (const name of without) setFlagsFromString(`--${name}`)
  return result
}

interface Plugin {
  readonly script: Script
  isCalled: boolean
}

function write(path: string, script: Script): void {
  writeFileSync(`${path}.cache`, script.createCachedData())
}

function compile(path: string): Script {
  return compiled(basename(path), readFileSync(path, 'utf8'), undefined)
}

function main(paths: readonly string[]): void {
  const isPlugin = (path: string): boolean => basename(path).startsWith(PLUGIN_ASSET)
  for (const path of paths.filter(one => !isPlugin(one))) write(path, compile(path))
  const plugins = new Map(
    paths.filter(isPlugin).map((path): [string, Plugin] => [path, { script: compile(path), isCalled: false }])
  )
  under(CALLED, () =>
    warmUp(name => {
      const plugin = plugins.get(`${PLUGIN_ASSET}${name}.cjs`)
      if (plugin === undefined) throw new Error(`warm up: no plugin ${name}`)
      const { startPlugin } = exportsOf(plugin.script) as { readonly startPlugin: (program: string) => number }
      const status = startPlugin(name)
      // What this kernel has no interface for, or no daemon, was not called to its end.
      if (status === 0 && process.env['CNI_COMMAND'] === 'ADD') plugin.isCalled = true
      return status
    })
  )
  for (const [path, { script, isCalled }] of plugins) write(path, isCalled ? script : under(WHOLE, () => compile(path)))
}

main(process.argv.slice(2))
