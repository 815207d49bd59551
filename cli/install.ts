/**
 * `patchbay install`: puts the plugins into a directory of CNI plugins. Every name appears, or is replaced, by one rename,
 * so that a runtime that starts a plugin meanwhile gets the old file or the new one and never a part of one. With
 * `--runtime` it writes that runtime's network too.
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isSea } from 'node:sea'
import { ensureDirectory, ownFileModes } from '../lib/sys/files.ts'
import { pluginNames } from '../plugins/names.ts'
import { agentUnits, UNIT_DIR } from './agent-units.ts'
import type { Call } from './call.ts'
import { type InstalledNetwork, networkToInstall, runtimeNamed } from './install-network.ts'
import {
  filesBefore,
  KEPT,
  keptPath,
  MULTI_CALL,
  nameClash,
  planConfig,
  planPlugins,
  planText,
  type Step,
  stepText
} from './install-plan.ts'
import { verify } from './install-verify.ts'
import { adviceFor, CommandError, jsonLine, type Output, UsageError } from './output.ts'

/** podman puts it into each network that it makes as soon as it is there, and then nothing is resolved without the agent. */
const DNSNAME = 'dnsname'

interface Options {
  readonly directory: string
  readonly source: string
  readonly names: readonly string[]
  readonly network: InstalledNetwork | undefined
  /** The agent's, where names are asked for. */
  readonly units: readonly TextFile[]
}

interface TextFile {
  readonly path: string
  readonly text: string
}

/** `install [DIR] [--runtime NAME] …` */
export async function install(call: Call): Promise<number> {
  const named = call.text('runtime')
  const runtime = named === undefined ? undefined : runtimeNamed(named)
  if (call.has('verify') && (call.has('force') || call.has('dry-run') || call.has('stay')))
    throw new UsageError(
      'read --verify: it changes nothing, so that none of --force, --dry-run and --stay goes with it'
    )
  const chosen: Options = {
    directory: resolve(call.words[0] ?? runtime?.binDir ?? '/opt/cni/bin'),
    source: executableOf(call.text('engine')),
    names: pluginNames().filter(name => name !== DNSNAME || call.has('names')),
    network: networkToInstall(call, runtime),
    units: call.has('names') ? unitsBelow(resolve(call.text('unit-dir') ?? UNIT_DIR)) : []
  }
  if (call.has('verify')) return verify(chosen, call.output, call.asJson)
  const isDry = call.has('dry-run')
  const isForced = isDry || call.has('force')
  const steps = planOf(chosen)
  refuseReplacing(steps, isForced)
  const { network } = chosen
  const clash = network === undefined ? undefined : nameClash(network.path, network.config.name)
  if (clash !== undefined && !isForced) throw new CommandError(`install: ${clash}`, '--force writes it all the same')
  if (!isDry) carryOut(chosen, steps)
  report(call.output, chosen, steps, { isDry, asJson: call.asJson, clash })
  if (call.has('stay') && !isDry) await untilStopped()
  return 0
}

/** A container that has nothing else to do, such as one of a DaemonSet without the agent. */
async function untilStopped(): Promise<void> {
  await new Promise<void>(stop => {
    // Signals alone keep no process alive.
    const beat = setInterval(() => {}, 1 << 30)
    const end = (): void => {
      clearInterval(beat)
      stop()
    }
    process.once('SIGTERM', end).once('SIGINT', end)
  })
}

function unitsBelow(directory: string): readonly TextFile[] {
  return agentUnits(commandPath()).map(({ name, text }) => ({ path: join(directory, name), text }))
}

/** Where the command that is running now is found again. */
export function commandPath(): string {
  return isSea() ? process.execPath : join(distOf(), 'node', 'patchbay')
}

function planOf({ directory, names, network, units }: Options): readonly Step[] {
  const networks = network === undefined ? [] : [planConfig(network.path, network.config)]
  return [...planPlugins(directory, names), ...networks, ...units.map(({ path, text }) => planText(path, text))]
}

function refuseReplacing(steps: readonly Step[], isAllowed: boolean): void {
  const foreign = steps.filter(step => step.action === 'replace')
  if (foreign.length === 0 || isAllowed) return
  throw new CommandError(
    `install: there already, and not Patchbay's: ${foreign.map(step => step.path).join(', ')}`,
    `--force replaces them and keeps the former ones in ${KEPT}; --dry-run shows what would be done`
  )
}

function carryOut({ directory, source, names, network, units }: Options, steps: readonly Step[]): void {
  // What is installed is for every program of the host, whatever the mask of the shell.
  ownFileModes()
  for (const step of steps.filter(one => one.action === 'replace')) keep(step.path)
  installInto(directory, source, names)
  const texts = network === undefined ? units : [textOf(network), ...units]
  for (const { path, text } of texts) {
    if (steps.find(one => one.path === path)?.action !== 'leave') writeText(path, text)
  }
}

function textOf({ path, config }: InstalledNetwork): TextFile {
  return { path, text: `${JSON.stringify(config, undefined, 2)}\n` }
}

function writeText(path: string, text: string): void {
  try {
    ensureDirectory(dirname(path), 0o755)
    replace(path, fresh => writeFileSync(fresh, text, { mode: 0o644, flush: true, flag: 'wx' }))
    syncDirectory(dirname(path))
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new CommandError(`write ${JSON.stringify(path)}: ${cause}`, adviceFor(error, 'name another place'))
  }
}

/** Keeps what is about to be replaced. It is a second name of the file: the first one never goes missing. */
function keep(path: string): void {
  const kept = keptPath(path)
  try {
    if (lstatSync(path).isDirectory()) throw new Error('it is a directory')
    ensureDirectory(dirname(kept), 0o755)
    replace(kept, fresh => linkOrCopy(path, fresh))
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new CommandError(`keep ${JSON.stringify(path)}: ${cause}`, adviceFor(error, 'name another place'))
  }
}

function report(
  output: Output,
  { directory, source, names, network }: Options,
  steps: readonly Step[],
  { isDry, asJson, clash }: { readonly isDry: boolean; readonly asJson: boolean; readonly clash: string | undefined }
): void {
  const before = network === undefined ? [] : filesBefore(network.path)
  if (asJson) {
    output.out(
      jsonLine({
        directory,
        source,
        plugins: names,
        dryRun: isDry,
        steps,
        filesBefore: before,
        ...(clash === undefined ? {} : { clash })
      })
    )
    return
  }
  if (isDry || network !== undefined) for (const step of steps) output.out(`${stepText(step, isDry)}\n`)
  if (!isDry) output.out(`installed ${String(names.length)} plugins in ${directory}: ${names.join(' ')}\n`)
  if (clash !== undefined) output.out(`note: ${clash}\n`)
  for (const path of before) output.out(`note: ${path} comes first; a runtime that takes one network takes that\n`)
  for (const hint of network?.hints ?? []) output.out(`note: ${hint}\n`)
}

/**
 * Puts one copy of `source` into the directory and links every name to it.
 * @throws CommandError when the directory cannot be written
 */
export function installInto(directory: string, source: string, names: readonly string[]): void {
  try {
    ensureDirectory(directory, 0o755)
    replace(join(directory, MULTI_CALL), fresh => copyDurably(source, fresh))
    for (const name of names) replace(join(directory, name), fresh => linkOrCopy(join(directory, MULTI_CALL), fresh))
    syncDirectory(directory)
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new CommandError(
      `install plugins in ${JSON.stringify(directory)}: ${cause}`,
      adviceFor(error, 'name a directory you may write')
    )
  }
}

function replace(path: string, make: (fresh: string) => void): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error(`${path} is a directory`)
  const fresh = join(dirname(path), `.${basename(path)}.${String(process.pid)}`)
  try {
    rmSync(fresh, { force: true })
    make(fresh)
    renameSync(fresh, path)
  } finally {
    rmSync(fresh, { force: true })
  }
}

/** On disk before it gets its name: after a power cut the name must not lead to an empty file. */
function copyDurably(source: string, fresh: string): void {
  copyFileSync(source, fresh, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
  chmodSync(fresh, 0o755)
  const fd = openSync(fresh, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Some file systems have no hard links. */
function linkOrCopy(file: string, fresh: string): void {
  try {
    linkSync(file, fresh)
  } catch {
    copyDurably(file, fresh)
  }
}

export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Where both engines are. */
function distOf(): string {
  return isSea() ? dirname(dirname(process.execPath)) : join(dirname(dirname(resolve(process.argv[1] ?? '.'))), 'dist')
}

/** The built executable to install: the native one where it was built, since it starts much faster. */
function executableOf(engine: string | undefined): string {
  const dist = distOf()
  const native = join(dist, 'native', MULTI_CALL)
  const node = isSea() ? process.execPath : join(dist, 'node', 'patchbay')
  if (engine === undefined) return firstExisting([native, node])
  if (engine === 'native') return firstExisting([native])
  if (engine === 'node') return firstExisting([node])
  throw new UsageError(`read --engine ${JSON.stringify(engine)}: must be native or node`)
}

function firstExisting(paths: readonly string[]): string {
  const path = paths.find(existsSync)
  if (path !== undefined) return path
  const looked = paths.map(one => JSON.stringify(one)).join(', ')
  throw new CommandError(
    `find the plugins to install: none at ${looked}`,
    'build them: npm run build, npm run build:native'
  )
}
