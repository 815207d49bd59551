/**
 * Reads a host's container networks in one pass: each namespace is opened once, and files are read once. Nothing is changed.
 *
 * Namespaces come and go meanwhile. One that is open stays until it is closed; one that could not be opened any more is left
 * out, as if it had gone a moment earlier.
 */
import { hostname } from 'node:os'
import { KernelError } from '../netlink/kernel-error.ts'
import { messageOf } from '../sys/errors.ts'
import { closeDescriptor } from '../sys/files.ts'
import { NetnsError, netnsNumber, openNetns } from '../sys/netns.ts'
import { ContainerNames, STORES } from './container-names.ts'
import { type FoundNamespace, findNamespaces } from './find-namespaces.ts'
import type { AttachmentView, LinkView, NamespaceView, NetworkView, OwnerView, View } from './model.ts'
import { Peers } from './peers.ts'
import { OpenNamespace, type ReadLink, type ReadNamespace } from './read-namespace.ts'
import { type Recorded, type RecordPlaces, readRecords } from './records.ts'
import { readServices } from './services.ts'

export interface ViewOptions extends RecordPlaces {
  /** Without it the rates of links would cost as much as the whole map. */
  readonly withRoutes: boolean
  /** The namespace whose networks they are, by its path; the process's own when absent. */
  readonly netns?: string | undefined
  /** The agent's, which is asked for services; nobody is when absent. */
  readonly agentSocket?: string | undefined
}

const OWN = '/proc/self/ns/net'

/** Of a namespace that was found: what was read in it, or why it was not. */
interface Visit {
  readonly found: FoundNamespace
  readonly read: ReadNamespace | undefined
  readonly problem: string
}

export function readView(options: ViewOptions): View {
  const path = options.netns ?? OWN
  const host = numberAt(path)
  const visits = visitAll(path, host, options.withRoutes)
  const recorded = readRecords(options, new Set(visits.map(visit => visit.found.id)))
  const owners = ownersOf(recorded.networks)
  const reads = visits.flatMap(visit => visit.read ?? [])
  const peers = new Peers(reads)
  askFurther(peers, visits)
  const parts: Parts = { host, recorded, owners, peers, stores: new ContainerNames(STORES) }
  const namespaces = visits.map(visit => namespaceView(visit, parts))
  const { services, problem } = readServices(options.agentSocket)
  return {
    version: 1,
    host: hostname(),
    readAt: new Date().toISOString(),
    namespaces: hostEndsOwned(namespaces).sort(byName),
    networks: recorded.networks,
    services,
    problems: [...recorded.problems, ...(problem === '' ? [] : [problem])]
  }
}

function numberAt(path: string): string {
  const fd = openNetns(path)
  try {
    return String(netnsNumber(fd))
  } finally {
    closeDescriptor(fd)
  }
}

/** The host first: the others are asked for their numbers of it, and it for its numbers of them. */
function visitAll(path: string, host: string, withRoutes: boolean): readonly Visit[] {
  const found = findNamespaces()
  const own = new OpenNamespace(path, host)
  try {
    const hostRead = readOpen(own, withRoutes)
    const hostFound = found.find(one => one.id === host) ?? nameless(path, host)
    const others = found.filter(one => one.id !== host)
    const visits = others.flatMap(one => visit(one, { own, hostRead, withRoutes }) ?? [])
    return [{ found: hostFound, read: hostRead, problem: '' }, ...visits]
  } finally {
    own.close()
  }
}

/** Where /proc shows this process to nobody. */
function nameless(path: string, id: string): FoundNamespace {
  return {
    id,
    paths: [path],
    processes: { count: 0, pid: 0, command: '' },
    containerId: '',
    runtime: ''
  }
}

interface HostSide {
  readonly own: OpenNamespace
  readonly hostRead: ReadNamespace
  readonly withRoutes: boolean
}

/** @returns undefined when it has gone */
function visit(found: FoundNamespace, { own, hostRead, withRoutes }: HostSide): Visit | undefined {
  const there = openAny(found)
  if (!(there instanceof OpenNamespace)) return there === '' ? undefined : { found, read: undefined, problem: there }
  try {
    const read = readOpen(there, withRoutes)
    const ofHost = there.numberOf(own)
    if (ofHost !== undefined) read.numbers.set(ofHost, own.id)
    const ofThis = own.numberOf(there)
    if (ofThis !== undefined) hostRead.numbers.set(ofThis, there.id)
    return { found, read, problem: '' }
  } catch (error) {
    return { found, read: undefined, problem: problemOf(error) }
  } finally {
    there.close()
  }
}

/** By the first of its paths that leads there still. @returns why none could be opened, '' when it has gone */
function openAny(found: FoundNamespace): OpenNamespace | string {
  let problem = ''
  for (const path of found.paths) {
    try {
      return new OpenNamespace(path, found.id)
    } catch (error) {
      if (!(error instanceof NetnsError)) throw error
      if (error.reason === 'unreadable') problem = error.explanation
    }
  }
  return problem
}

function problemOf(error: unknown): string {
  if (error instanceof KernelError) return error.errno
  return /\bE[A-Z]{3,}\b/.exec(messageOf(error))?.[0] ?? messageOf(error)
}

function readOpen(there: OpenNamespace, withRoutes: boolean): ReadNamespace {
  const links = there.links()
  return { id: there.id, links, routes: withRoutes ? there.routes(links) : [], numbers: new Map() }
}

/** Links between containers. */
function askFurther(peers: Peers, visits: readonly Visit[]): void {
  const found = new Map(visits.map(visit => [visit.found.id, visit.found]))
  let asked: OpenNamespace | undefined
  try {
    for (const question of peers.questions()) {
      if (asked?.id !== question.asked.id) {
        asked?.close()
        asked = openKnown(found.get(question.asked.id))
      }
      const about = openKnown(found.get(question.about))
      const number = about === undefined ? undefined : asked?.numberOf(about)
      if (number !== undefined) question.asked.numbers.set(number, question.about)
      about?.close()
    }
  } finally {
    asked?.close()
  }
}

function openKnown(found: FoundNamespace | undefined): OpenNamespace | undefined {
  const there = found === undefined ? '' : openAny(found)
  return there instanceof OpenNamespace ? there : undefined
}

/** What namespaces are put together from. */
interface Parts {
  readonly host: string
  readonly recorded: Recorded
  readonly owners: Owners
  readonly peers: Peers
  readonly stores: ContainerNames
}

interface Owners {
  readonly byNamespace: ReadonlyMap<string, readonly OwnedBy[]>
  readonly byHostLink: ReadonlyMap<string, OwnerView>
}

interface OwnedBy extends OwnerView {
  readonly namespace: string
}

function ownersOf(networks: readonly NetworkView[]): Owners {
  const all = networks.flatMap(network => network.attachments.map(one => ({ owner: ownerOf(network, one), one })))
  const byNamespace = new Map<string, OwnedBy[]>()
  const byHostLink = new Map<string, OwnerView>()
  for (const { owner, one } of all) {
    if (one.hostLink !== '') byHostLink.set(one.hostLink, owner)
    if (one.namespace === '') continue
    const known = byNamespace.get(one.namespace)
    const owned = { ...owner, namespace: one.namespace }
    if (known === undefined) byNamespace.set(one.namespace, [owned])
    else known.push(owned)
  }
  return { byNamespace, byHostLink }
}

function ownerOf(network: NetworkView, { containerId, ifName }: AttachmentView): OwnerView {
  return { network: network.name, containerId, ifName }
}

function namespaceView({ found, read, problem }: Visit, parts: Parts): NamespaceView {
  const { host, recorded, owners, peers, stores } = parts
  const isHost = found.id === host
  const owned = owners.byNamespace.get(found.id) ?? []
  const containerId = found.containerId === '' ? (owned[0]?.containerId ?? '') : found.containerId
  // A pod's containers are in the namespace of its sandbox, whose id the network's records have.
  const ids = [...owned.map(one => one.containerId), containerId]
  const called = ids.map(id => recorded.names.get(id) ?? stores.nameOf(id)).find(name => name !== '') ?? ''
  return {
    id: found.id,
    isHost,
    name: isHost ? hostname() : nameOf(found, called, containerId),
    paths: found.paths,
    processes: found.processes,
    containerId: isHost ? '' : containerId,
    runtime: isHost ? '' : found.runtime,
    problem,
    links: (read?.links ?? []).map(link => {
      const hostOwner = link.view.kind === 'veth' ? owners.byHostLink.get(link.view.name) : undefined
      const owner = isHost ? hostOwner : owned.find(one => one.ifName === link.view.name)
      return linkView(link, read === undefined ? undefined : peers.placeOf(read, link), owner)
    }),
    routes: read?.routes ?? []
  }
}

/** What a person would call it. */
function nameOf(found: FoundNamespace, called: string, containerId: string): string {
  if (called !== '') return called
  const mounted = found.paths.find(path => /^(?:\/var)?\/run\/netns\/[^/]+$/.test(path))
  const name = mounted?.split('/').at(-1) ?? ''
  if (name !== '' && !/^cni-[0-9a-f-]{36}$/.test(name)) return name
  if (containerId !== '') return /^[0-9a-f]{64}$/.test(containerId) ? containerId.slice(0, 12) : containerId
  const { pid, command } = found.processes
  return pid === 0 ? (name === '' ? `net:[${found.id}]` : name) : `${command} (${String(pid)})`
}

function linkView({ view }: ReadLink, peer: LinkView['peer'], owner: OwnerView | undefined): LinkView {
  const { network, containerId, ifName } = owner ?? { network: '', containerId: '', ifName: '' }
  return {
    ...view,
    ...(peer === undefined ? {} : { peer }),
    ...(owner === undefined ? {} : { owner: { network, containerId, ifName } })
  }
}

/** The host's end is whose the other end is. */
function hostEndsOwned(namespaces: readonly NamespaceView[]): NamespaceView[] {
  const owners = new Map<string, OwnerView>()
  for (const { id, links } of namespaces) {
    for (const { index, owner } of links) if (owner !== undefined) owners.set(`${id} ${String(index)}`, owner)
  }
  return namespaces.map(namespace => {
    if (!namespace.isHost) return namespace
    const links = namespace.links.map(link => {
      const { peer } = link
      const owner =
        peer === undefined || link.kind !== 'veth' ? undefined : owners.get(`${peer.namespace} ${String(peer.index)}`)
      return owner === undefined || link.owner !== undefined ? link : { ...link, owner }
    })
    return { ...namespace, links }
  })
}

function byName(a: NamespaceView, b: NamespaceView): number {
  if (a.isHost !== b.isHost) return a.isHost ? -1 : 1
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.id < b.id ? -1 : 1
}
