/**
 * Network configurations as a runtime loads them: `<name>.conflist` with a chain of plugins, or a single plugin's `.conf`
 * or `.json`.
 * @source CNI specification 1.1.0, section 1; libcni/conf.go of containernetworking/cni for what it leaves open
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isName } from '../attachment.ts'
import { IMPLIED_VERSION, isAtLeast, isKnownVersion, isVersion, KNOWN_VERSIONS } from '../cni/version.ts'
import { type Json, memberOf, parseJson } from '../config/json.ts'

/**
 * What a network that is made here offers, `cniVersion` first: libcni before 1.2 (podman 4, containerd 1.6) refuses later
 * versions, and does not read the list, by which others choose the last.
 */
export const OFFERED_VERSIONS = ['1.0.0', '1.1.0'] as const

/** A loaded network: what chains run over. */
export interface Network {
  readonly name: string
  /** The version all its plugins are called in. */
  readonly cniVersion: string
  readonly disableCheck: boolean
  readonly disableGC: boolean
  /** Each plugin's configuration as written, in the order of ADD. Never empty. */
  readonly plugins: readonly Json[]
  /** The whole file as an object. */
  readonly config: Json
  /** The file's text, which the cache keeps. */
  readonly text: string
  /** Where it was loaded from; '' when it wasn't a file. */
  readonly path: string
}

/** A network that cannot be used, or is not there. */
export class NetworkError extends Error {
  /** The file at fault, or the directory searched. */
  readonly path: string
  /** What to do about it. */
  readonly advice: string

  constructor(path: string, message: string, advice: string) {
    super(message)
    this.name = 'NetworkError'
    this.path = path
    this.advice = advice
  }
}

/** What a directory holds: the networks, and the files that are none. */
export interface NetworkDirectory {
  readonly networks: readonly Network[]
  readonly problems: readonly NetworkError[]
}

/**
 * Loads every network of a directory, in the order of the file names. Of several with one name the first counts, as for
 * libcni; the others are problems, since whoever wrote them thinks that they count.
 */
export function loadNetworks(directory: string): NetworkDirectory {
  const networks: Network[] = []
  const problems: NetworkError[] = []
  for (const path of networkFiles(directory)) {
    try {
      const network = loadNetworkFile(path)
      const earlier = networks.find(one => one.name === network.name)
      if (earlier === undefined) networks.push(network)
      else problems.push(secondOfName(network, earlier))
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      problems.push(error)
    }
  }
  return { networks, problems }
}

function secondOfName(network: Network, first: Network): NetworkError {
  const what = `network ${JSON.stringify(network.name)} is in ${JSON.stringify(first.path)} already, which counts`
  return new NetworkError(
    network.path,
    `load ${JSON.stringify(network.path)}: ${what}`,
    'rename one of them, or remove it'
  )
}

/**
 * Loads one network by its name.
 * @throws NetworkError when it isn't there; a file that can't be read is named when it may be the one looked for
 */
export function loadNetwork(directory: string, name: string): Network {
  const { networks, problems } = loadNetworks(directory)
  const network = networks.find(one => one.name === name)
  if (network !== undefined) return network
  const unreadable = problems.map(problem => problem.message).join('; ')
  const names = networks.map(one => one.name).join(', ')
  const known = names === '' ? 'no network is there yet' : `networks there: ${names}`
  throw new NetworkError(
    directory,
    `load network ${JSON.stringify(name)}: not in ${JSON.stringify(directory)}${unreadable === '' ? '' : ` (${unreadable})`}`,
    `${known}; to make one: patchbay network create ${isName(name) ? name : 'NAME'}`
  )
}

/** Lists come before single plugins, as in libcni: when both have a name, the list is meant. */
function networkFiles(directory: string): readonly string[] {
  let names: readonly string[]
  try {
    names = readdirSync(directory).sort()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw new NetworkError(
      directory,
      `read directory ${JSON.stringify(directory)}: ${codeOf(error)}`,
      adviceFor(error, 'name another directory')
    )
  }
  const lists = names.filter(name => name.endsWith('.conflist'))
  const singles = names.filter(name => name.endsWith('.conf') || name.endsWith('.json'))
  return [...lists, ...singles].map(name => join(directory, name)).filter(path => isFile(path))
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Loads a file. @throws NetworkError naming it */
export function loadNetworkFile(path: string): Network {
  const text = readConfig(path)
  const config = parseConfig(path, text)
  if (!path.endsWith('.conflist') && memberOf(config, 'plugins') === undefined) return singleNetwork(path, text, config)
  return listNetwork(path, text, config)
}

/** The network of a configuration list's text, such as the cache holds. @throws NetworkError */
export function parseNetwork(text: string, path = ''): Network {
  const config = parseConfig(path, text)
  return memberOf(config, 'plugins') === undefined ? singleNetwork(path, text, config) : listNetwork(path, text, config)
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new NetworkError(path, `read ${JSON.stringify(path)}: ${codeOf(error)}`, adviceFor(error, 'remove the file'))
  }
}

function parseConfig(path: string, text: string): Json {
  try {
    const config = parseJson(text)
    if (config.type === 'object') return config
  } catch (error) {
    throw wrong(path, error instanceof Error ? error.message : String(error))
  }
  throw wrong(path, 'must be an object')
}

function wrong(path: string, cause: string): NetworkError {
  const name = path === '' ? 'the network configuration' : JSON.stringify(path)
  return new NetworkError(path, `load ${name}: ${cause}`, 'correct the file')
}

/** A single plugin's file is a list of one. */
function singleNetwork(path: string, text: string, config: Json): Network {
  checkPlugin(path, config, 'the configuration')
  return {
    name: readName(path, config),
    cniVersion: readVersion(path, config),
    disableCheck: false,
    disableGC: false,
    plugins: [config],
    config,
    text,
    path
  }
}

function listNetwork(path: string, text: string, config: Json): Network {
  const name = readName(path, config)
  const onlyInlined = readBoolean(path, config, 'loadOnlyInlinedPlugins')
  const inlined = readPlugins(path, config, onlyInlined)
  const plugins = onlyInlined || path === '' ? inlined : [...inlined, ...pluginsOfDirectory(path, name)]
  if (plugins.length === 0) throw wrong(path, 'plugins is empty')
  return {
    name,
    cniVersion: readVersion(path, config),
    disableCheck: readBoolean(path, config, 'disableCheck'),
    disableGC: readBoolean(path, config, 'disableGC'),
    plugins,
    config,
    text,
    path
  }
}

function readName(path: string, config: Json): string {
  const name = memberOf(config, 'name')
  if (name?.type === 'string' && isName(name.text)) return name.text
  throw wrong(path, name === undefined ? 'name is missing' : `name ${JSON.stringify(name.text)} is no network name`)
}

/** `cniVersions` offers several: the highest one we speak is used. */
function readVersion(path: string, config: Json): string {
  const single = memberOf(config, 'cniVersion')
  if (single !== undefined && single.type !== 'string') throw wrong(path, 'cniVersion must be a string')
  const several = memberOf(config, 'cniVersions')
  const own = single === undefined || single.text === '' ? [] : [single.text]
  if (several === undefined) return own[0] ?? IMPLIED_VERSION
  if (several.type !== 'array' || several.items.some(item => item.type !== 'string' || !isVersion(item.text))) {
    throw wrong(path, 'cniVersions must be a list of versions')
  }
  const offered = [...own, ...several.items.map(item => item.text)].filter(isKnownVersion)
  if (offered.length === 0) throw wrong(path, `cniVersions has none of ${KNOWN_VERSIONS.join(', ')}`)
  return offered.reduce((best, version) => (isAtLeast(version, best) ? version : best))
}

/** Real files write these switches as "true" too, and libcni takes it. */
function readBoolean(path: string, config: Json, key: string): boolean {
  const value = memberOf(config, key)
  if (value === undefined || value.type === 'null') return false
  const text = value.text.toLowerCase()
  if ((value.type === 'boolean' || value.type === 'string') && (text === 'true' || text === 'false'))
    return text === 'true'
  throw wrong(path, `${key} must be true or false`)
}

function readPlugins(path: string, config: Json, required: boolean): readonly Json[] {
  const plugins = memberOf(config, 'plugins')
  if (plugins === undefined && required) throw wrong(path, 'loadOnlyInlinedPlugins is true, but plugins is missing')
  if (plugins === undefined) return []
  if (plugins.type !== 'array') throw wrong(path, 'plugins must be a list of objects')
  plugins.items.forEach((plugin, i) => {
    checkPlugin(path, plugin, `plugins[${String(i)}]`)
  })
  return plugins.items
}

function checkPlugin(path: string, plugin: Json, what: string): void {
  if (plugin.type !== 'object') throw wrong(path, `${what} must be an object`)
  const type = memberOf(plugin, 'type')
  if (type === undefined || type.type !== 'string' || type.text === '') throw wrong(path, `${what}.type is missing`)
  if (/[/\\]/.test(type.text)) throw wrong(path, `${what}.type ${JSON.stringify(type.text)} must be a file name`)
}

/** Files of the directory named like the network, beside its file, are appended to the chain. */
function pluginsOfDirectory(path: string, name: string): readonly Json[] {
  const directory = join(dirname(path), name)
  let files: readonly string[]
  try {
    files = readdirSync(directory).filter(file => file.endsWith('.conf'))
  } catch {
    return []
  }
  return [...files].sort().map(file => {
    const pluginPath = join(directory, file)
    const plugin = parseConfig(pluginPath, readConfig(pluginPath))
    checkPlugin(pluginPath, plugin, 'the configuration')
    return plugin
  })
}

function adviceFor(error: unknown, otherwise: string): string {
  return codeOf(error) === 'EACCES' ? `run as root, or ${otherwise}` : otherwise
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
}

/** The `type` of a plugin's configuration, which loading has checked. */
export function pluginType(plugin: Json): string {
  return memberOf(plugin, 'type')?.text ?? ''
}

/** The capabilities that the network's plugins declare, each once. */
export function capabilitiesOf(network: Network): readonly string[] {
  const all = network.plugins.flatMap(plugin => {
    const capabilities = memberOf(plugin, 'capabilities')
    return (capabilities?.keys ?? []).filter((_key, i) => capabilities?.items[i]?.text === 'true')
  })
  return [...new Set(all)]
}
