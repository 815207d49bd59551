/** The network that `patchbay install` writes beside the plugins: a runtime's ready-made one or any conflist, with this host's subnets. */
import { readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { formatPrefix, networkOf, parsePrefix } from '../lib/ip/prefix.ts'
import { parseNetwork } from '../lib/runtime/network.ts'
import type { Call } from './call.ts'
import { adviceFor, CommandError, UsageError } from './output.ts'
import { CONF_DIR, RUNTIMES, type RuntimeTarget, withNames } from './runtime-config.ts'

export interface InstalledNetwork {
  readonly path: string
  readonly config: RuntimeTarget['config']
  /** What is left to do by hand. */
  readonly hints: readonly string[]
}

/** @throws {UsageError} */
export function runtimeNamed(name: string): RuntimeTarget {
  const runtime = RUNTIMES.find(one => one.name === name)
  if (runtime !== undefined) return runtime
  const known = RUNTIMES.map(one => one.name).join(', ')
  throw new UsageError(`read --runtime ${JSON.stringify(name)}: must be one of ${known}`)
}

/**
 * What --runtime or --conflist name, changed as the other options say.
 *
 * @returns undefined when neither is there
 * @throws {UsageError | CommandError}
 */
export function networkToInstall(call: Call, runtime: RuntimeTarget | undefined): InstalledNetwork | undefined {
  const conflist = call.text('conflist')
  if (runtime !== undefined && conflist !== undefined)
    throw new UsageError('read --conflist: --runtime brings a network of its own, so that one of the two is enough')
  if (call.has('names')) refuseNames(runtime)
  const subnets = subnetsOf(call)
  const network = conflist === undefined ? ofRuntime(call, runtime, subnets.length > 0) : ofFile(call, conflist)
  if (subnets.length === 0) return network
  if (network === undefined)
    throw new UsageError('read --subnet: needs --runtime or --conflist, in whose network it is')
  return withSubnets(network, subnets)
}

/** @throws {UsageError} without a runtime, or for one whose containers could not ask */
function refuseNames(runtime: RuntimeTarget | undefined): void {
  if (runtime === undefined) throw new UsageError('read --names: needs --runtime, in whose network they are')
  if (runtime.namesHint === '')
    throw new UsageError(`read --names: ${runtime.name} writes resolv.conf by itself, and has cluster DNS for names`)
}

function ofRuntime(call: Call, runtime: RuntimeTarget | undefined, hasSubnets: boolean): InstalledNetwork | undefined {
  if (runtime === undefined) return undefined
  const path = join(resolve(call.text('conf-dir') ?? runtime.confDir), runtime.fileName)
  const hints = [runtime.hint, hasSubnets ? '' : runtime.subnetHint].filter(hint => hint !== '')
  if (!call.has('names')) return { path, config: runtime.config, hints }
  const agent = 'start what answers: systemctl enable --now patchbay-agent.socket patchbay-agent.service'
  return { path, config: withNames(runtime.config), hints: [...hints, runtime.namesHint, agent] }
}

/** It keeps its name, by which runtimes order them. */
function ofFile(call: Call, file: string): InstalledNetwork {
  const text = readText(file, '--conflist')
  parseNetwork(text, file)
  const path = join(resolve(call.text('conf-dir') ?? CONF_DIR), basename(file))
  return { path, config: JSON.parse(text), hints: [] }
}

function readText(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error)
    throw new CommandError(`read ${option}: ${cause}`, adviceFor(error, 'name a file that is there'))
  }
}

/** Of --subnet and --subnet-file, one of a family. */
function subnetsOf(call: Call): readonly string[] {
  const file = call.text('subnet-file')
  const ofFile = file === undefined ? [] : readText(file, '--subnet-file').split(/[\s,]+/)
  if (file !== undefined && ofFile.every(word => word === ''))
    throw new CommandError(
      `read --subnet-file: ${JSON.stringify(file)} has no subnet`,
      'write one into it, such as 10.244.1.0/24'
    )
  const words = [...call.texts('subnet').flatMap(text => text.split(',')), ...ofFile].filter(word => word !== '')
  const prefixes = words.map(word => {
    const prefix = parsePrefix(word)
    if (prefix === undefined || formatPrefix(networkOf(prefix)) !== formatPrefix(prefix))
      throw new UsageError(`read --subnet ${JSON.stringify(word)}: must be a subnet such as 10.244.1.0/24`)
    return prefix
  })
  const families = prefixes.map(prefix => prefix.address.bytes.length)
  if (new Set(families).size !== families.length)
    throw new UsageError(`read --subnet ${words.join(' ')}: one for IPv4 and one for IPv6 at most`)
  return prefixes.map(formatPrefix)
}

/** host-local's addresses come from these alone. @throws {UsageError} when no plugin of the network takes them */
function withSubnets(network: InstalledNetwork, subnets: readonly string[]): InstalledNetwork {
  let isTaken = false
  const plugins = network.config.plugins.map((plugin: object) => {
    const ipam: unknown = 'ipam' in plugin ? plugin.ipam : undefined
    if (typeof ipam !== 'object' || ipam === null || !('type' in ipam) || ipam.type !== 'host-local') return plugin
    isTaken = true
    const {
      subnet: _subnet,
      rangeStart: _start,
      rangeEnd: _end,
      gateway: _gateway,
      ...rest
    } = ipam as Record<string, unknown>
    return { ...plugin, ipam: { ...rest, ranges: subnets.map(subnet => [{ subnet }]) } }
  })
  if (!isTaken)
    throw new UsageError(
      `read --subnet: no plugin of ${JSON.stringify(network.config.name)} has host-local as its ipam`
    )
  return { ...network, config: { ...network.config, plugins } }
}
