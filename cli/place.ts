/** The directories that a command works in: networks, plugins, cache. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Runtime } from '../lib/runtime/runtime.ts'
import type { Output } from './output.ts'

export interface Place {
  /** Where networks are configured. */
  readonly confDir: string
  /** Where plugins are looked for, in this order. */
  readonly binDirs: readonly string[]
  /** Where attachments are remembered. */
  readonly cacheDir: string
}

/** The options that choose them. */
export interface PlaceValues {
  readonly 'conf-dir'?: string | undefined
  readonly 'bin-dir'?: readonly string[] | undefined
  readonly 'cache-dir'?: string | undefined
}

/** What the options say, else the environment, else the customary directories. */
export function placeOf(values: PlaceValues, env: NodeJS.ProcessEnv = process.env): Place {
  return {
    confDir: values['conf-dir'] ?? textOr(env['NETCONFPATH'], '/etc/cni/net.d'),
    binDirs: (values['bin-dir'] ?? [textOr(env['CNI_PATH'], usualBinDir())])
      .flatMap(text => text.split(':'))
      .filter(isText),
    cacheDir: values['cache-dir'] ?? '/var/lib/cni'
  }
}

function textOr(text: string | undefined, fallback: string): string {
  return text === undefined || text === '' ? fallback : text
}

function isText(text: string): boolean {
  return text !== ''
}

/** The customary directory, unless it isn't there and our own is. */
function usualBinDir(): string {
  const usual = '/opt/cni/bin'
  const own = join(dirname(process.execPath), 'bin')
  return !existsSync(usual) && existsSync(own) ? own : usual
}

/** A runtime there. What plugins say beside their results goes to standard error, each line with its plugin. */
export function runtimeAt(place: Place, output: Output): Runtime {
  return new Runtime({
    pluginDirectories: place.binDirs,
    cacheDirectory: place.cacheDir,
    onStderr: (plugin, text) => {
      for (const line of text.trimEnd().split('\n')) output.err(`${plugin}: ${line}\n`)
    }
  })
}
