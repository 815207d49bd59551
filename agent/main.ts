/** `patchbay agent`: one per host, until it is told to stop. */
import { existsSync, readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { parseArgs } from 'node:util'
import { tellFailure } from '../lib/daemon/failure.ts'
import { lockHost } from '../lib/daemon/host-lock.ts'
import { drain, serveRequests, untilStopped } from '../lib/daemon/server.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { machineId } from '../lib/state/machine.ts'
import { errnoOf, messageOf } from '../lib/sys/errors.ts'
import { ensureDirectory, fileError } from '../lib/sys/files.ts'
import { requireRights } from '../lib/sys/rights.ts'
import { Agent } from './agent.ts'
import { AloneRegistry } from './alone-registry.ts'
import { type AgentConfig, DEFAULT_CONFIG, DEFAULT_FILE, parseConfig } from './config.ts'
import { Encryption } from './encryption/encryption.ts'
import { ENCRYPTION_REQUESTS } from './encryption/requests.ts'
import { parseTrust, TRUST_USAGE, type TrustCall, trustHosts } from './encryption/trust-command.ts'
import type { AddressOwner } from './endpoint.ts'
import { EtcdRegistry } from './etcd-registry.ts'
import { FileRegistry } from './file-registry.ts'
import { FlushedRules } from './flushed-rules.ts'
import { serveHttp } from './http.ts'
import { LocalStore } from './local-store.ts'
import { Metrics } from './metrics.ts'
import { Names } from './names/names.ts'
import { NAME_REQUESTS } from './names/requests.ts'
import type { Named } from './names/zone.ts'
import { clashOnHost } from './networks/clash.ts'
import { ConfDir } from './networks/conf-dir.ts'
import { Networks } from './networks/networks.ts'
import type { NetworkRecord } from './networks/record.ts'
import { NETWORK_REQUESTS } from './networks/requests.ts'
import { ownRecords } from './own-records.ts'
import { PLUGIN_REQUESTS } from './plugin-requests.ts'
import { isClaimOfName, type OwnRecords, type Registry } from './registry.ts'
import { type Answers, answer, answersOf } from './requests.ts'
import { HeldNetworks } from './services/held-networks.ts'
import { ServiceLeases } from './services/leases.ts'
import { PortConflicts } from './services/port-conflicts.ts'
import { Publisher } from './services/publisher.ts'
import type { ServiceRecord } from './services/record.ts'
import { Registrar } from './services/registrar.ts'
import { SERVICE_REQUESTS, type ServiceParts } from './services/requests.ts'
import { judgeOf } from './services/service-network.ts'
import { Services } from './services/services.ts'
import { addTrafficMetrics } from './traffic-metrics.ts'

export const USAGE = `usage: patchbay agent [--config FILE]
${TRUST_USAGE}
Answers containers at 127.0.0.11 that ask for each other's names (plugin "dns"), keeps those of overlay networks (plugin
"vxlan" with "registry") known on every host, gives out addresses for ipam "cluster", and has services reached by them. Reads ${DEFAULT_CONFIG};
without it, this host is alone. docs/names.md and docs/overlay.md explain it.
`

/** Runs until SIGTERM or SIGINT. @returns the exit status */
export async function runAgent(args: readonly string[]): Promise<number> {
  if (args[0] === 'trust') return trust(args.slice(1))
  let config: AgentConfig
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' }, help: { type: 'boolean' } }
    })
    if (values.help === true) {
      process.stdout.write(USAGE)
      return 0
    }
    config = findConfig(values.config)
  } catch (error) {
    return misused('patchbay agent', error)
  }
  try {
    await serve(config)
    return 0
  } catch (error) {
    tellFailure('patchbay agent', error)
    return 1
  }
}

/** `agent trust` */
function trust(args: readonly string[]): number {
  let call: TrustCall
  let socket: string
  try {
    call = parseTrust(args)
    socket = findConfig(call.config).socket
  } catch (error) {
    return misused('patchbay agent trust', error)
  }
  try {
    process.stdout.write(trustHosts(call, socket))
    return 0
  } catch (error) {
    tellFailure('patchbay agent trust', error)
    return 1
  }
}

/** Wrong arguments, or a configuration that is none. One that may not be read says nothing of either. @returns the exit status */
function misused(line: string, error: unknown): number {
  if (errnoOf(error) === 'EACCES') {
    tellFailure(line, error)
    return 1
  }
  process.stderr.write(`${line}: ${messageOf(error)}\n${USAGE}`)
  return 2
}

/** Without any, this host is alone. */
function findConfig(path: string | undefined): AgentConfig {
  const isAlone = path === undefined && !existsSync(DEFAULT_CONFIG)
  return isAlone ? parseConfig('{}') : readConfig(path ?? DEFAULT_CONFIG)
}

function readConfig(path: string): AgentConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw fileError('read configuration', path, error)
  }
  return parseConfig(text)
}

/** Where every runtime over libcni remembers its attachments. */
const LIBCNI_CACHE = '/var/lib/cni'

async function serve(config: AgentConfig): Promise<void> {
  requireRights('patchbay agent')
  ensureDirectory(config.stateDir, 0o700)
  const unlock = lockHost(config.stateDir, 'agent')
  const metrics = new Metrics()
  const store = new LocalStore(config.stateDir)
  const kernel = new LinuxKernel()
  const { host, socket, compareSeconds, stateDir, pluginStateDir, underlay } = config
  const parts: LaterParts = {}
  const registry = makeRegistry(config, store, metrics, parts)
  const onConflict = conflictTeller(metrics)
  const basis = { host, kernel, registry, metrics, log }
  const encryption = new Encryption({ ...basis, config: config.encryption, underlay, stateDir })
  parts.encryption = encryption
  const agent = new Agent({ ...basis, socket, store, encryption, compareSeconds, onConflict })
  const arrived = async (named: Named, left: number): Promise<void> => parts.services?.arrived(named, left)
  const isReady = (): boolean => parts.services?.isReady === true
  const names = new Names({ ...basis, stateDir: pluginStateDir, arrived, isReady })
  parts.names = names
  const isAlone = registry instanceof AloneRegistry
  const networks = new Networks({ ...networksOf(config, agent, kernel), isAlone, registry, metrics, log })
  const services = servicesOf(config, { ...basis, agent, encryption, names, networks })
  parts.services = services.services
  parts.conflicts = services.conflicts
  const flushed = new FlushedRules({ kernel, stateDir: pluginStateDir, compareSeconds, log })
  metrics.gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss())
  // Names first: what they want the registry to have must be known when that compares.
  names.start()
  agent.start()
  const others = [networks, services.conflicts, services.publisher, services.services, flushed]
  for (const one of others) one.start()
  const server = await serveRequestsOf({ agent, names, networks, services, encryption }, metrics, socket)
  let pages: Server | undefined
  const trouble = (): string => (isAlone ? '' : agent.trouble())
  if (config.http !== '') {
    const { confDir, pluginStateDir } = config
    addTrafficMetrics(metrics, { confDir, cacheDir: LIBCNI_CACHE, stateDir: pluginStateDir }, log)
    pages = await serveHttp(trouble, metrics, config.http)
  }
  log(`host ${JSON.stringify(config.host)}: listening on ${config.socket}`)
  await untilStopped()
  pages?.close()
  await drain(server)
  for (const one of others.toReversed()) one.stop()
  await names.stop()
  await agent.stop()
  unlock()
}

/** What of the networks' part follows from the configuration and from who is attached. */
function networksOf(config: AgentConfig, agent: Agent, kernel: Kernel) {
  const { socket, pluginStateDir, underlay, compareSeconds } = config
  const confDir = new ConfDir(config.confDir, { socket, stateDir: pluginStateDir, underlay })
  const isUsed = (network: string): boolean => agent.isAttached(network)
  const release = (network: string): void => agent.releaseNetwork(network)
  return { confDir, compareSeconds, isUsed, release, clashOf: (record: NetworkRecord) => clashOnHost(kernel, record) }
}

interface ServiceNeeds {
  readonly agent: Agent
  readonly encryption: Encryption
  readonly names: Names
  readonly networks: Networks
  readonly kernel: Kernel
  readonly registry: Registry
  readonly metrics: Metrics
}

/** Who has services reached, who publishes them on this host, and who makes them. */
function servicesOf(config: AgentConfig, needs: ServiceNeeds): ServiceParts & { readonly publisher: Publisher } {
  const { agent, encryption, names, networks, kernel, registry, metrics } = needs
  const { host, confDir, compareSeconds, pluginStateDir: stateDir } = config
  const { zone, cluster } = names
  const isKnown = (network: string): boolean => cluster.isKnown(network)
  const leases = new ServiceLeases(host, confDir)
  const keep = (record: ServiceRecord): string => leases.keep(record)
  const judges = (network: string) => judgeOf(confDir, network)
  const services = new Services({ registry, kernel, zone, isKnown, judges, keep, compareSeconds, metrics, log })
  const find = (name: string): NetworkRecord | undefined => networks.find(name)?.record
  const held = new HeldNetworks({ agent, encryption, kernel, cluster, services, find, confDir, stateDir })
  const conflicts = new PortConflicts({ host, registry, log })
  const publisher = new Publisher({
    kernel,
    services,
    conflicts,
    ownAddresses: network => agent.ownAddresses(network),
    hold: wanted => held.hold(wanted),
    compareSeconds
  })
  const portProblem = (record: ServiceRecord): string => publisher.portProblem(record)
  const registrar = new Registrar({ host, registry, confDir, leases, portProblem })
  return { host, services, registrar, publisher, conflicts, look: (network, left) => cluster.look(network, left) }
}

interface Parts {
  readonly agent: Agent
  readonly names: Names
  readonly networks: Networks
  readonly services: ServiceParts
  readonly encryption: Encryption
}

function serveRequestsOf(parts: Parts, metrics: Metrics, path: string): Promise<Server> {
  const answers: Answers = new Map([
    ...answersOf(parts.agent, PLUGIN_REQUESTS),
    ...answersOf(parts.names, NAME_REQUESTS),
    ...answersOf(parts.networks, NETWORK_REQUESTS),
    ...answersOf(parts.services, SERVICE_REQUESTS),
    ...answersOf(parts.encryption, ENCRYPTION_REQUESTS)
  ])
  return serveRequests(path, {
    answer: request => answer(answers, request),
    answered: (what, isOk, milliseconds) => {
      const name = answers.has(what) ? what : 'unreadable'
      metrics.add(`patchbay_agent_requests_total{do="${name}",ok="${isOk}"}`)
      metrics.add(`patchbay_agent_request_milliseconds_total{do="${name}"}`, milliseconds)
    }
  })
}

function makeRegistry(config: AgentConfig, store: LocalStore, metrics: Metrics, later: LaterParts): Registry {
  const isAlone = config.file === DEFAULT_FILE && !existsSync(DEFAULT_FILE)
  const { etcd } = config
  const own = everyRecord(config.host, store, metrics, later)
  if (etcd === undefined)
    return isAlone ? new AloneRegistry({ directory: config.registryDir, own }) : new FileRegistry(config.file, log)
  return new EtcdRegistry({
    endpoints: etcd.endpoints,
    access: etcd,
    count: (sent, received) => {
      if (sent > 0) metrics.add('patchbay_agent_registry_bytes_total{direction="sent"}', sent)
      if (received > 0) metrics.add('patchbay_agent_registry_bytes_total{direction="received"}', received)
    },
    prefix: etcd.prefix,
    host: config.host,
    machine: machineId(),
    presenceSeconds: etcd.leaseSeconds,
    recordsSeconds: etcd.addressLeaseSeconds,
    leases: store,
    own,
    log
  })
}

/** Parts that are made after those that need them. */
interface LaterParts {
  names?: Names
  services?: Services
  conflicts?: PortConflicts
  encryption?: Encryption
}

/** What the agent's parts want the registry to have. */
function everyRecord(host: string, store: LocalStore, metrics: Metrics, later: LaterParts): OwnRecords {
  const own = ownRecords(host, store)
  return {
    values: () => {
      const { names, encryption, conflicts } = later
      const parts = [names?.cluster, encryption, conflicts]
      return new Map([...own.values(), ...parts.flatMap(one => [...(one?.values() ?? [])])])
    },
    claims: () => new Map([...own.claims(), ...(later.names?.cluster.claims() ?? [])]),
    onConflict: conflictTeller(metrics)
  }
}

/** Two hosts have one address or name: whoever looks after them has to know. */
function conflictTeller(metrics: Metrics): (what: string, owner: AddressOwner) => void {
  return (what, owner) => {
    metrics.add('patchbay_agent_address_conflicts_total')
    const other = `container ${JSON.stringify(owner.containerId)} on host ${JSON.stringify(owner.host)}`
    log(
      `${isClaimOfName(what) ? 'name' : 'address'} ${JSON.stringify(what)} is also that of ${other}: detach one of the two containers`
    )
  }
}

function log(message: string): void {
  process.stderr.write(`patchbay agent: ${message}\n`)
}
