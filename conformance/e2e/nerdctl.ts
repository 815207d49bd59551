/**
 * What nerdctl does with plugins, program by program: it is in no Debian suite, so its calls are made here in the order
 * in which it makes them (createRuntime and postStop hooks of containers; go-cni and libcni below it).
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outcomeOf } from './command.ts'
import { BIN_DIR, CACHE_DIR, CONF_DIR, configure, unconfigure } from './host.ts'

type Parsed = Readonly<Record<string, unknown>>

export interface Conflist {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly Parsed[]
}

export interface RunOptions {
  /** `nerdctl run -p`, as go-cni writes them. */
  readonly ports?: readonly { HostPort: number; ContainerPort: number; Protocol: string; HostIP: string }[]
  /** `--ip` */
  readonly ip?: string
  /** `--mac-address` */
  readonly mac?: string
  /** `--dns` */
  readonly dns?: string
}

export interface NetworkOptions {
  readonly ranges: readonly (readonly Parsed[])[]
  readonly ipv6?: boolean
  readonly internal?: boolean
  /** `-o icc=false` */
  readonly isolated?: boolean
}

/** The file that `nerdctl network create` writes for a bridge network. */
export function bridgeNetwork(name: string, options: NetworkOptions): Conflist {
  const id = createHash('sha256').update(name).digest('hex')
  const outward = options.internal === true ? {} : { isGateway: true, ipMasq: true }
  const routes = options.internal === true ? {} : { routes: [{ dst: '0.0.0.0/0' }] }
  const bridge = {
    type: 'bridge',
    bridge: `br-${id.slice(0, 12)}`,
    ...outward,
    hairpinMode: true,
    ipam: { ranges: options.ranges, ...routes, type: 'host-local' },
    ...(options.ipv6 === true ? { capabilities: { ips: true } } : {})
  }
  const portmap = options.internal === true ? [] : [{ type: 'portmap', capabilities: { portMappings: true } }]
  const ingressPolicy = options.isolated === true ? 'isolated' : 'same-bridge'
  const plugins = [bridge, ...portmap, { type: 'firewall', ingressPolicy }, { type: 'tuning' }]
  return { cniVersion: '1.0.0', name, ...{ nerdctlID: id, nerdctlLabels: {} }, plugins }
}

/** The file that `nerdctl network create -d macvlan` writes. */
export function macvlanNetwork(name: string, parent: string, ranges: NetworkOptions['ranges']): Conflist {
  const ipam = { ranges, routes: [{ dst: '0.0.0.0/0' }], type: 'host-local' }
  const plugins = [{ type: 'macvlan', master: parent, mode: 'bridge', ipam }]
  return { cniVersion: '1.0.0', name, ...{ nerdctlID: createHash('sha256').update(name).digest('hex') }, plugins }
}

export class Nerdctl {
  /** `nerdctl network create`: refuses a plugin that isn't there. */
  create(network: Conflist): void {
    for (const { type } of network.plugins) readFileSync(join(BIN_DIR, String(type)))
    configure(`nerdctl-${network.name}.conflist`, JSON.stringify(network, undefined, 2))
  }

  remove(name: string): void {
    unconfigure(`nerdctl-${name}.conflist`)
  }

  /** The version in the banner of a bare call, which decides about isolation: nerdctl wants 1.7.1. */
  firewallVersion(): string {
    const env: NodeJS.ProcessEnv = { PATH: undefined, CNI_COMMAND: undefined, CNI_PATH: undefined }
    const { status, stderr } = outcomeOf(join(BIN_DIR, 'firewall'), [], { env })
    if (status !== 0) throw new Error(`firewall without environment: exit ${status}`)
    return /^CNI firewall plugin v?(\d+\.\d+\.\d+)/m.exec(stderr)?.[1] ?? ''
  }

  /** The createRuntime hook: whatever an earlier life left is removed, then the container is attached. */
  attach(networks: readonly string[], id: string, pid: number, options: RunOptions = {}): readonly Parsed[] {
    for (const name of networks) this.#del(name, id, ifName(networks, name), options)
    return networks.map(name => this.#add(name, { id, pid }, ifName(networks, name), options))
  }

  /** The postStop hook: the namespace is gone by now. */
  detach(networks: readonly string[], id: string, options: RunOptions = {}): void {
    for (const name of networks) this.#del(name, id, ifName(networks, name), options)
  }

  #add(
    name: string,
    { id, pid }: { readonly id: string; readonly pid: number },
    ifname: string,
    options: RunOptions
  ): Parsed {
    const network = load(name)
    const args = { ...argsOf(options), IgnoreUnknown: '1', NERDCTL_CNI_DHCP_HOSTNAME: id.slice(0, 12) }
    let prevResult: Parsed | undefined
    for (const plugin of network.plugins) {
      const config = configOf(network, plugin, options, prevResult)
      const output = call('ADD', plugin, config, { id, netns: `/proc/${pid}/ns/net`, ifname, args })
      // libcni parses each result and prints it again with the list's version.
      prevResult = { ...(JSON.parse(output) as Parsed), cniVersion: network.cniVersion }
    }
    mkdirSync(join(CACHE_DIR, 'results'), { recursive: true })
    writeFileSync(cachePath(name, id, ifname), JSON.stringify({ kind: 'cniCacheV1', result: prevResult }))
    return prevResult ?? {}
  }

  #del(name: string, id: string, ifname: string, options: RunOptions): void {
    const network = load(name)
    const args = options.ip === undefined && options.mac === undefined ? {} : { ...argsOf(options), IgnoreUnknown: '1' }
    const prevResult = cached(name, id, ifname)
    for (const plugin of network.plugins.toReversed()) {
      call('DEL', plugin, configOf(network, plugin, options, prevResult), { id, netns: '', ifname, args })
    }
    rmSync(cachePath(name, id, ifname), { force: true })
  }
}

function ifName(networks: readonly string[], name: string): string {
  return `eth${networks.indexOf(name)}`
}

function load(name: string): Conflist {
  return JSON.parse(readFileSync(join(CONF_DIR, `nerdctl-${name}.conflist`), 'utf8'))
}

function argsOf(options: RunOptions): Record<string, string> {
  return {
    ...(options.ip === undefined ? {} : { IP: options.ip }),
    ...(options.mac === undefined ? {} : { MAC: options.mac })
  }
}

function configOf(network: Conflist, plugin: Parsed, options: RunOptions, prevResult: Parsed | undefined): Parsed {
  const capabilities = (plugin['capabilities'] ?? {}) as Parsed
  const mapped = options.ports !== undefined && capabilities['portMappings'] === true
  return {
    ...plugin,
    name: network.name,
    cniVersion: network.cniVersion,
    ...(mapped ? { runtimeConfig: { portMappings: options.ports } } : {}),
    ...(prevResult === undefined ? {} : { prevResult })
  }
}

function cachePath(name: string, id: string, ifname: string): string {
  return join(CACHE_DIR, 'results', `${name}-${id}-${ifname}`)
}

function cached(name: string, id: string, ifname: string): Parsed | undefined {
  try {
    return JSON.parse(readFileSync(cachePath(name, id, ifname), 'utf8')).result
  } catch {
    return undefined
  }
}

interface Target {
  readonly id: string
  readonly netns: string
  readonly ifname: string
  readonly args: Readonly<Record<string, string>>
}

/** @returns the plugin's output @throws Error with what it said */
function call(command: string, plugin: Parsed, config: Parsed, target: Target): string {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: target.id,
    CNI_NETNS: target.netns,
    CNI_IFNAME: target.ifname,
    CNI_ARGS: Object.entries(target.args)
      .map(([key, value]) => `${key}=${value}`)
      .join(';'),
    CNI_PATH: BIN_DIR
  }
  const { status, stdout, stderr } = outcomeOf(join(BIN_DIR, String(plugin['type'])), [], {
    env,
    input: JSON.stringify(config)
  })
  if (status !== 0) throw new Error(`${command} ${String(plugin['type'])}: exit ${status}: ${stdout}${stderr}`)
  return stdout
}
