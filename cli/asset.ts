/**
 * Assets of the Node engine's executable that are programs: compiled when they are asked for, out of what V8 made of them at
 * the build. build/command-asset.ts and build/plugin-assets.ts make them.
 */
import { getRawAsset } from 'node:sea'
import { Script } from 'node:vm'

/**
 * Runs an asset. It may ask for nothing but Node's own modules, whatever lies in the working directory.
 * @returns what it exports
 * @public called by what build/command-asset.ts and build/plugin-assets.ts make
 */
export function assetExports(name: string): unknown {
  return exportsOf(compiled(name, bytesOf(name).toString(), cacheOf(name)))
}

/** Runs a script of an asset. */
export function exportsOf(script: Script): unknown {
  const module = { exports: {} }
  const start = script.runInThisContext()
  start(module.exports, process.getBuiltinModule, module, process.execPath, '/')
  return module.exports
}

/**
 * The script of a text. A cache of another version of V8, of other switches or of another text is not used, and the text is
 * compiled as if there were none: that costs time alone.
 */
export function compiled(filename: string, text: string, cachedData: Buffer | undefined): Script {
  return new Script(text, cachedData === undefined ? { filename } : { filename, cachedData })
}

/** The asset's own bytes, which must not be written to. */
function bytesOf(name: string): Buffer {
  return Buffer.from(getRawAsset(name))
}

/** Executables for other processors have none. */
function cacheOf(name: string): Buffer | undefined {
  try {
    return bytesOf(`${name}.cache`)
  } catch {
    return undefined
  }
}
