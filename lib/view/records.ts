/** What files say of networks and their containers: configurations, libcni's cache, the plugins' journals, leases. */
import { statSync } from 'node:fs'
import { type Json, memberOf } from '../config/json.ts'
import { formatAddress, parseAddress } from '../ip/address.ts'
import { formatPrefix, parsePrefix } from '../ip/prefix.ts'
import { DNS_PLUGIN, recordFromJson } from '../names/record.ts'
import { AttachmentCache, type CachedAttachment } from '../runtime/cache.ts'
import { Namespaces } from '../runtime/namespaces.ts'
import { loadNetworks, type Network, pluginType } from '../runtime/network.ts'
import { rangesOf } from '../runtime/network-ranges.ts'
import { type JournalEntry, journalEntries, recordedNetworks } from '../state/journal.ts'
import { LeaseDirectory } from '../state/leases.ts'
import type { AttachmentView, LeaseView, NetworkView, PortView, RecordKind } from './model.ts'

/** Where files are looked for. */
export interface RecordPlaces {
  readonly confDir: string
  readonly cacheDir: string
  /** The plugins' `stateDir`. */
  readonly stateDir: string
}

/** What records say, and the names of containers, by id. */
export interface Recorded {
  readonly networks: readonly NetworkView[]
  readonly names: ReadonlyMap<string, string>
  readonly problems: readonly string[]
}

/** host-local's default, where a configuration names no `dataDir`. */
const LEASES = '/var/lib/cni/networks'

/** An attachment while its records are put together. */
interface Draft {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
  namespace: string
  addresses: readonly string[]
  ports: readonly PortView[]
  names: readonly string[]
  hostLink: string
  recordedBy: RecordKind[]
}

/** @param known ids of the namespaces that there are */
export function readRecords(places: RecordPlaces, known: ReadonlySet<string>): Recorded {
  const drafts = new Drafts()
  const names = new Map<string, string>()
  const namespaces = new Namespaces()
  for (const cached of new AttachmentCache(places.cacheDir).list()) {
    addCached(drafts.of(cached), cached, namespaceAt(namespaces.pathOf(cached), known))
    const pod = podName(cached)
    if (pod !== '') names.set(cached.containerId, pod)
  }
  const problems: string[] = []
  for (const entry of entriesOf(places.stateDir, problems)) addJournal(drafts.of(entry.attachment), entry, known)
  for (const { containerId, names: own } of drafts.all()) {
    if (own[0] !== undefined && !names.has(containerId)) names.set(containerId, own[0])
  }
  const configured = configuredAt(places.confDir, problems)
  return { networks: networksOf(configured, drafts.all()), names, problems }
}

class Drafts {
  readonly #all = new Map<string, Draft>()

  of(at: { readonly network: string; readonly containerId: string; readonly ifName: string }): Draft {
    // No name of a network or container holds a colon.
    const key = `${at.network}:${at.containerId}:${at.ifName}`
    const known = this.#all.get(key)
    if (known !== undefined) return known
    const { network, containerId, ifName } = at
    const empty = { namespace: '', addresses: [], ports: [], names: [], hostLink: '', recordedBy: [] }
    const draft: Draft = { network, containerId, ifName, ...empty }
    this.#all.set(key, draft)
    return draft
  }

  all(): readonly Draft[] {
    return [...this.#all.values()]
  }
}

function addCached(draft: Draft, cached: CachedAttachment, namespace: string): void {
  draft.recordedBy.push('cache')
  draft.namespace = namespace
  const ips = cached.result === undefined ? [] : (memberOf(cached.result, 'ips')?.items ?? [])
  draft.addresses = ips.flatMap(ip => prefixText(memberOf(ip, 'address')?.text))
  draft.hostLink = hostLinkIn(cached)
  const mappings = cached.capabilityArgs === undefined ? undefined : memberOf(cached.capabilityArgs, 'portMappings')
  draft.ports = (mappings?.items ?? []).flatMap(portOfArgs)
}

/** The last interface of the host in a result: bridge lists the bridge first, then the host's end. */
function hostLinkIn({ result }: CachedAttachment): string {
  const interfaces = result === undefined ? [] : (memberOf(result, 'interfaces')?.items ?? [])
  const onHost = interfaces.filter(one => (memberOf(one, 'sandbox')?.text ?? '') === '')
  const last = onHost.at(-1)
  return last === undefined ? '' : (memberOf(last, 'name')?.text ?? '')
}

/** '' when the path leads nowhere, or where one may not look. */
function namespaceAt(path: string, known: ReadonlySet<string>): string {
  try {
    const id = String(statSync(path).ino)
    return known.has(id) ? id : ''
  } catch {
    return ''
  }
}

function prefixText(text: string | undefined): readonly string[] {
  const prefix = parsePrefix(text ?? '')
  return prefix === undefined ? [] : [formatPrefix(prefix)]
}

/** An item of the capability portMappings. */
function portOfArgs(item: Json): readonly PortView[] {
  const hostPort = numberOf(item, 'hostPort')
  const containerPort = numberOf(item, 'containerPort')
  if (hostPort === 0 || containerPort === 0) return []
  const address = parseAddress(memberOf(item, 'hostIP')?.text ?? '')
  return [
    {
      protocol: (memberOf(item, 'protocol')?.text ?? '').toLowerCase() || 'tcp',
      hostAddress: address === undefined ? '' : formatAddress(address),
      hostPort,
      count: 1,
      containerPort
    }
  ]
}

/** A mapping as the plugin portmap writes it down. */
function portOfJournal(item: Json): readonly PortView[] {
  const first = numberOf(item, 'first')
  const containerPort = numberOf(item, 'containerPort')
  if (first === 0 || containerPort === 0) return []
  return [
    {
      protocol: memberOf(item, 'protocol')?.text ?? '',
      hostAddress: memberOf(item, 'hostIP')?.text ?? '',
      hostPort: first,
      count: Math.max(1, numberOf(item, 'last') - first + 1),
      containerPort
    }
  ]
}

/** 0 for what is no number of a port. */
function numberOf(item: Json, key: string): number {
  const value = Number(memberOf(item, key)?.text ?? '')
  return Number.isInteger(value) && value > 0 && value < 65_536 ? value : 0
}

/** How Kubernetes calls the container. @source containerd, CRI-O: CNI_ARGS K8S_POD_NAMESPACE, K8S_POD_NAME */
function podName(cached: CachedAttachment): string {
  const arg = (key: string): string => cached.args.find(([name]) => name === key)?.[1] ?? ''
  const [namespace, name] = [arg('K8S_POD_NAMESPACE'), arg('K8S_POD_NAME')]
  return namespace === '' || name === '' ? name : `${namespace}/${name}`
}

function entriesOf(stateDir: string, problems: string[]): readonly JournalEntry[] {
  try {
    return recordedNetworks(stateDir).flatMap(network => journalEntries(stateDir, network))
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
    return []
  }
}

function addJournal(draft: Draft, { plugin, entry }: JournalEntry, known: ReadonlySet<string>): void {
  if (!draft.recordedBy.includes('journal')) draft.recordedBy.push('journal')
  const text = (key: string): string => memberOf(entry, key)?.text ?? ''
  // `<device>:<inode>`: of all that ADD wrote down, the one thing that a later namespace at the same path has not.
  const id = /^[0-9]+:([0-9]+)$/.exec(text('netnsId'))?.[1] ?? ''
  if (draft.namespace === '' && known.has(id)) draft.namespace = id
  if (text('hostEnd') !== '') draft.hostLink = text('hostEnd')
  if (plugin === 'portmap' && draft.ports.length === 0)
    draft.ports = (memberOf(entry, 'mappings')?.items ?? []).flatMap(portOfJournal)
  if (plugin !== DNS_PLUGIN) return
  const record = recordFromJson(entry)
  draft.names = record.names
  if (draft.addresses.length === 0) draft.addresses = record.addresses.map(formatAddress)
}

function configuredAt(confDir: string, problems: string[]): readonly Network[] {
  try {
    const loaded = loadNetworks(confDir)
    problems.push(...loaded.problems.map(problem => problem.message))
    return loaded.networks
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
    return []
  }
}

function networksOf(configured: readonly Network[], drafts: readonly Draft[]): readonly NetworkView[] {
  const byNetwork = new Map<string, Draft[]>(configured.map(one => [one.name, []]))
  for (const draft of drafts) {
    const known = byNetwork.get(draft.network)
    if (known === undefined) byNetwork.set(draft.network, [draft])
    else known.push(draft)
  }
  const networks = [...byNetwork].map(([name, own]) => {
    const config = configured.find(one => one.name === name)
    return {
      name,
      driver: config?.plugins[0] === undefined ? '' : pluginType(config.plugins[0]),
      plugins: (config?.plugins ?? []).map(pluginType),
      path: config?.path ?? '',
      subnets: config === undefined ? [] : rangesOf(config).map(({ subnet, gateway }) => ({ subnet, gateway })),
      attachments: own.map(({ network: _network, ...attachment }): AttachmentView => attachment),
      leases: leasesOf(name, config)
    }
  })
  return networks.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** What host-local has given away, in the format that the reference has too. */
function leasesOf(network: string, config: Network | undefined): readonly LeaseView[] {
  const ipams = (config?.plugins ?? []).flatMap(plugin => memberOf(plugin, 'ipam') ?? [])
  const dataDir = ipams.map(ipam => memberOf(ipam, 'dataDir')?.text ?? '').find(text => text !== '')
  try {
    const directory = new LeaseDirectory(dataDir ?? LEASES, network)
    return [...directory.names()].flatMap(name => {
      const address = parseAddress(name)
      const lease = address === undefined ? undefined : directory.find(address)
      if (lease?.owner === undefined) return []
      const { containerId, ifName } = lease.owner
      return [{ address: formatAddress(lease.address), containerId, ifName }]
    })
  } catch {
    return [] // not ours to read without root
  }
}
