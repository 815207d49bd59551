/** The files of a plugin directory, told so that a report can be compared with another. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Options } from './options.ts'
import { NOT_JUDGED, PROFILES } from './profiles.ts'

export interface PluginFile {
  readonly plugin: string
  readonly sha256: string
  /** What it says of itself when it is started by hand; empty when nothing. */
  readonly version: string
}

/** The first line that names a version, of a plugin that is started with nothing. */
function versionOf(path: string): string {
  const child = spawnSync(path, [], { env: {}, input: '', encoding: 'utf8', timeout: 5000 })
  const line = `${child.stderr ?? ''}`.split('\n').find(one => /\bplugin\b|\bv[0-9]/.test(one)) ?? ''
  return line.trim().slice(0, 120)
}

export function describeFiles(dir: string, plugins: readonly string[]): readonly PluginFile[] {
  return plugins.map(plugin => {
    const path = join(dir, plugin)
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
    return { plugin, sha256, version: versionOf(path) }
  })
}

/** Plugins for which there is no configuration; none when only some were asked for. */
export function filesWithoutProfile(dir: string, options: Options): readonly string[] {
  if (options.plugins.length > 0) return []
  const known = [...PROFILES, ...options.profiles].map(({ type }) => type)
  return readdirSync(dir)
    .filter(name => !known.includes(name))
    .map(name => (NOT_JUDGED.has(name) ? `${name} (${NOT_JUDGED.get(name)})` : name))
}
