/**
 * The runtime's side of the protocol: runs a network's chain of plugins forward for ADD and CHECK, backward for DEL, and
 * remembers what it did.
 * @source CNI specification 1.1.0, section 3; libcni/api.go of containernetworking/cni
 */
import type { Attachment } from '../attachment.ts'
import { asSeenIn, resultFromJson, resultToJson } from '../cni/result-json.ts'
import { isAtLeast, NEWEST_VERSION } from '../cni/version.ts'
import { type Json, jsonText, memberOf, withMember } from '../config/json.ts'
import { jsonOf } from '../config/plain-json.ts'
import { netnsIdentity } from '../sys/netns-identity.ts'
import { AttachmentCache, type CachedAttachment } from './cache.ts'
import { execute, findPlugin, outputOf, PluginError } from './execute.ts'
import { Namespaces } from './namespaces.ts'
import { type Network, pluginType } from './network.ts'

export interface RuntimeOptions {
  /** Where plugins are looked for, in this order; becomes CNI_PATH. */
  readonly pluginDirectories: readonly string[]
  /** libcni's is /var/lib/cni. */
  readonly cacheDirectory: string
  /** Milliseconds after which one plugin is killed; never when absent. */
  readonly timeout?: number
  /** Gets what plugins write to standard error. */
  readonly onStderr?: (plugin: string, text: string) => void
}

/** One interface of one container on one network. */
export interface Attaching {
  readonly containerId: string
  /** Path of the namespace; '' when it is gone (DEL only). */
  readonly netns: string
  readonly ifName: string
  /** CNI_ARGS. */
  readonly args?: readonly (readonly [string, string])[]
  /** Arguments for capabilities: each plugin gets those it declares. An object. */
  readonly capabilityArgs?: Json | undefined
}

/** What a plugin says of itself. */
export interface PluginVersions {
  readonly plugin: string
  readonly path: string
  readonly supportedVersions: readonly string[]
}

const NO_ARGS: readonly (readonly [string, string])[] = []

/** What a plugin is called for. */
interface Call {
  /** undefined for STATUS and GC, which are about a network. */
  readonly attaching: Attaching | undefined
  readonly prevResult: Json | undefined
}

const OF_NETWORK: Call = { attaching: undefined, prevResult: undefined }

/** An attachment of a network that is known already. */
export type ContainerInterface = Omit<Attachment, 'network'>

export class Runtime {
  readonly cache: AttachmentCache
  readonly #options: RuntimeOptions

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.cache = new AttachmentCache(options.cacheDirectory)
  }

  /**
   * Attaches a container and remembers the result.
   * @returns the last plugin's result; when a plugin fails, the chain stops: `del` cleans up
   * @throws PluginMissing before anything is done, PluginError
   */
  async add(network: Network, attaching: Attaching): Promise<Json> {
    for (const plugin of network.plugins) findPlugin(pluginType(plugin), this.#options.pluginDirectories, 'ADD')
    let result: Json | undefined
    for (const plugin of network.plugins) {
      const output = await this.#call('ADD', network, plugin, { attaching, prevResult: result })
      result = withVersion(output, network.cniVersion)
    }
    const whole = result ?? jsonOf({})
    this.cache.write(cachedAttachment(network, attaching, whole))
    return whole
  }

  /**
   * Detaches a container, last plugin first, and forgets it. Nothing there is no error.
   * @throws PluginError of the first plugin that fails: those before it in the chain are not called
   */
  async del(network: Network, attaching: Attaching): Promise<void> {
    const result = this.#cachedResult(network, attaching)
    for (const plugin of network.plugins.toReversed())
      await this.#call('DEL', network, plugin, { attaching, prevResult: result })
    this.cache.remove(network.name, attaching.containerId, attaching.ifName)
  }

  /**
   * Checks an attachment against the remembered result.
   * @returns false when the network does not want to be checked
   * @throws PluginError of the first plugin that finds something wrong, or when the version has no CHECK
   */
  async check(network: Network, attaching: Attaching): Promise<boolean> {
    if (!isAtLeast(network.cniVersion, '0.4.0')) {
      const message = `check network ${JSON.stringify(network.name)}: cniVersion ${network.cniVersion} has no CHECK`
      throw new PluginError('', 'CHECK', message, { details: 'set cniVersion to 0.4.0 or newer' })
    }
    if (network.disableCheck) return false
    const result = this.#cachedResult(network, attaching)
    for (const plugin of network.plugins) await this.#call('CHECK', network, plugin, { attaching, prevResult: result })
    return true
  }

  /**
   * Asks whether an ADD would succeed.
   * @returns false when the version has no STATUS, so that nobody knows
   * @throws PluginError of the first plugin that is not ready
   */
  async status(network: Network): Promise<boolean> {
    if (!isAtLeast(network.cniVersion, '1.1.0')) return false
    for (const plugin of network.plugins) await this.#call('STATUS', network, plugin, OF_NETWORK)
    return true
  }

  /**
   * Removes every attachment of the network that is not in `valid`: by DEL what is remembered, then by GC what is not.
   * @returns the attachments removed by DEL
   * @throws AggregateError of all failures, after everything was tried
   */
  async gc(network: Network, valid: readonly ContainerInterface[]): Promise<readonly ContainerInterface[]> {
    if (network.disableGC) return []
    const removed: ContainerInterface[] = []
    const failures: Error[] = []
    const namespaces = new Namespaces()
    for (const cached of this.cache.list(network.name)) {
      if (valid.some(one => one.containerId === cached.containerId && one.ifName === cached.ifName)) continue
      const failure = await caught(() => this.del(network, attachingOf(cached, namespaces)))
      if (failure === undefined) removed.push({ containerId: cached.containerId, ifName: cached.ifName })
      else failures.push(failure)
    }
    if (isAtLeast(network.cniVersion, '1.1.0')) failures.push(...(await this.#collect(network, valid)))
    if (failures.length > 0) {
      const causes = [...new Set(failures.map(causeOf))].join('; ')
      throw new AggregateError(failures, `collect garbage of network ${JSON.stringify(network.name)}: ${causes}`)
    }
    return removed
  }

  async #collect(network: Network, valid: readonly ContainerInterface[]): Promise<readonly Error[]> {
    const list = jsonOf(valid.map(one => ({ containerID: one.containerId, ifname: one.ifName })))
    const failures: Error[] = []
    for (const plugin of network.plugins) {
      // The second key is the first one's former name, which libcni still writes.
      const named = withMember(withMember(plugin, 'cni.dev/valid-attachments', list), 'cni.dev/attachments', list)
      const failure = await caught(() => this.#call('GC', network, named, OF_NETWORK))
      if (failure !== undefined) failures.push(failure)
    }
    return failures
  }

  /** Asks every plugin of the network which versions it speaks. @throws PluginError */
  async versions(network: Network): Promise<readonly PluginVersions[]> {
    const answers: PluginVersions[] = []
    for (const plugin of network.plugins) answers.push(await this.versionsOf(pluginType(plugin)))
    return answers
  }

  /** @throws PluginError */
  async versionsOf(type: string): Promise<PluginVersions> {
    const path = findPlugin(type, this.#options.pluginDirectories, 'VERSION')
    const stdin = jsonText(jsonOf({ cniVersion: NEWEST_VERSION }))
    // libcni sets the others too: the oldest plugins refuse to answer without them.
    const env = this.#env('VERSION', { containerId: 'dummy', netns: 'dummy', ifName: 'dummy' })
    const execution = await execute(path, env, stdin, this.#options.timeout)
    const output = outputOf(execution, type, 'VERSION')
    const versions = output === undefined ? undefined : memberOf(output, 'supportedVersions')
    return { plugin: type, path, supportedVersions: (versions?.items ?? []).map(item => item.text) }
  }

  async #call(command: string, network: Network, plugin: Json, call: Call): Promise<Json | undefined> {
    const { attaching, prevResult } = call
    const type = pluginType(plugin)
    const path = findPlugin(type, this.#options.pluginDirectories, command)
    const config = pluginConfig(network, plugin, attaching?.capabilityArgs, prevResult)
    const execution = await execute(path, this.#env(command, attaching), jsonText(config), this.#options.timeout)
    if (execution.stderr !== '') this.#options.onStderr?.(type, execution.stderr)
    return outputOf(execution, type, command)
  }

  #env(command: string, attaching: Attaching | undefined): Record<string, string> {
    return {
      CNI_COMMAND: command,
      CNI_CONTAINERID: attaching?.containerId ?? '',
      CNI_NETNS: attaching?.netns ?? '',
      CNI_IFNAME: attaching?.ifName ?? '',
      CNI_ARGS: (attaching?.args ?? NO_ARGS).map(([key, value]) => `${key}=${value}`).join(';'),
      CNI_PATH: this.#options.pluginDirectories.join(':')
    }
  }

  /** In the version of the network. A damaged one is none: DEL must go on without it. */
  #cachedResult(network: Network, attaching: Attaching): Json | undefined {
    if (!isAtLeast(network.cniVersion, '0.4.0')) return undefined
    const cached = this.cache.find(network.name, attaching.containerId, attaching.ifName)
    if (cached?.result === undefined) return undefined
    if (memberOf(cached.result, 'cniVersion')?.text === network.cniVersion) return cached.result
    try {
      const result = resultFromJson(cached.result, network.cniVersion, 'cached result')
      return resultToJson(asSeenIn(result, network.cniVersion), network.cniVersion)
    } catch {
      return undefined
    }
  }
}

/** libcni takes a result without version for one in the version asked for. */
function withVersion(result: Json | undefined, cniVersion: string): Json {
  if (result === undefined || result.type !== 'object') return jsonOf({ cniVersion })
  const version = memberOf(result, 'cniVersion')
  return version === undefined || version.text === '' ? withMember(result, 'cniVersion', jsonOf(cniVersion)) : result
}

/** A plugin's configuration as it gets it: with the network's name and version, its own arguments, the result so far. */
function pluginConfig(
  network: Network,
  plugin: Json,
  capabilityArgs: Json | undefined,
  prevResult: Json | undefined
): Json {
  let config = withMember(plugin, 'name', jsonOf(network.name))
  config = withMember(config, 'cniVersion', jsonOf(network.cniVersion))
  if (prevResult !== undefined) config = withMember(config, 'prevResult', prevResult)
  const runtimeConfig = argumentsFor(plugin, capabilityArgs)
  return runtimeConfig === undefined ? config : withMember(config, 'runtimeConfig', runtimeConfig)
}

function argumentsFor(plugin: Json, capabilityArgs: Json | undefined): Json | undefined {
  const capabilities = memberOf(plugin, 'capabilities')
  if (capabilities?.type !== 'object' || capabilityArgs === undefined) return undefined
  const wanted = capabilities.keys.filter((_key, i) => capabilities.items[i]?.text === 'true')
  const given = wanted.filter(key => capabilityArgs.keys.includes(key))
  if (given.length === 0) return undefined
  return jsonOf(new Map(given.map(key => [key, capabilityArgs.items[capabilityArgs.keys.indexOf(key)]])))
}

function cachedAttachment(network: Network, attaching: Attaching, result: Json): CachedAttachment {
  return {
    network: network.name,
    containerId: attaching.containerId,
    ifName: attaching.ifName,
    netns: attaching.netns,
    netnsIdentity: identityOrNothing(attaching.netns),
    config: network.text,
    args: attaching.args ?? NO_ARGS,
    capabilityArgs: attaching.capabilityArgs,
    result
  }
}

/** Without rights to look, a record has none, and its path alone decides. */
function identityOrNothing(netns: string): string {
  try {
    return netnsIdentity(netns)
  } catch {
    return ''
  }
}

/**
 * The attachment as it was made, for calls about it by somebody who has only the cache. Its namespace is where it is now:
 * the recorded path may lead to another container's, whose interfaces a DEL would take away.
 */
export function attachingOf(cached: CachedAttachment, namespaces: Namespaces): Attaching {
  return {
    containerId: cached.containerId,
    netns: namespaces.pathOf(cached),
    ifName: cached.ifName,
    args: cached.args,
    capabilityArgs: cached.capabilityArgs
  }
}

/** With the plugin's name, since several say the same. */
function causeOf(failure: Error): string {
  return failure instanceof PluginError && failure.plugin !== ''
    ? `${failure.plugin}: ${failure.message}`
    : failure.message
}

async function caught(work: () => Promise<unknown>): Promise<Error | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
