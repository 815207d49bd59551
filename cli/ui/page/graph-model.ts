/** The view as a graph: the host, what containers hang on, containers, services; and what joins them. */
import type { LinkView, NamespaceView, ServiceView, View } from '../../../lib/view/model.ts'
import { type Member, type Segment, segmentsOf } from '../../../lib/view/segments.ts'
import { segmentFacts, segmentTitle } from '../../map/panels.ts'
import {
  addressesOf,
  linkText,
  portText,
  routesBy,
  servicePortTexts,
  stateText,
  UNICODE_SIGNS,
  uplinksOf
} from '../../map/texts.ts'
import { trafficKey } from '../model.ts'

export type NodeKind = 'host' | 'segment' | 'container' | 'service'

export interface GraphNode {
  /** Stays while the thing does. */
  readonly key: string
  readonly kind: NodeKind
  readonly title: string
  readonly lines: readonly string[]
  /** Whose details it has: a namespace's id; of a segment that of the namespace it is in; '' of a service. */
  readonly namespace: string
  /** Something is wrong with it. */
  readonly isBad: boolean
  /** Its traffic is the sum of what these have. */
  readonly traffic: readonly string[]
  /** All that it can be found by, in small letters. */
  readonly words: string
}

interface GraphEdge {
  readonly key: string
  readonly from: string
  readonly to: string
  readonly kind: 'wire' | 'member'
  /** Of the wire; '' = none. */
  readonly traffic: string
}

export interface Graph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

export const HOST = 'host'

export function graphOf(view: View): Graph {
  const { segments } = segmentsOf(view)
  const containers = new Map<string, Member[]>()
  for (const member of segments.flatMap(segment => segment.members)) {
    const known = containers.get(member.namespace.id)
    if (known === undefined) containers.set(member.namespace.id, [member])
    else known.push(member)
  }
  const host = view.namespaces.find(one => one.isHost)
  const keys = new Map(segments.map(segment => [segment, segmentKey(segment)]))
  const nodes = [
    ...(host === undefined ? [] : [hostNode(host)]),
    ...segments.map(segment => segmentNode(segment, keys.get(segment) ?? '')),
    ...[...containers.values()].map(containerNode),
    ...view.services.map(serviceNode)
  ]
  const edges = [
    ...segments.flatMap(segment => segmentEdges(segment, keys.get(segment) ?? '')),
    ...view.services.flatMap(service => serviceEdges(service, view))
  ]
  const there = new Set(nodes.map(node => node.key))
  return { nodes, edges: edges.filter(edge => there.has(edge.from) && there.has(edge.to)) }
}

function hostNode(host: NamespaceView): GraphNode {
  const uplinks = uplinksOf(host)
  const lines = uplinks.map(link =>
    [linkText(link), addressesOf(link)[0] ?? '', ...routesBy(link, host)].filter(text => text !== '').join('  ')
  )
  return node({ key: HOST, kind: 'host', title: host.name, lines, namespace: host.id }, [
    ...uplinks.flatMap(link => [link.mac, ...link.addresses])
  ])
}

function segmentNode(segment: Segment, key: string): GraphNode {
  const { link, members, namespace } = segment
  return {
    ...node(
      { key, kind: 'segment', title: segmentTitle(segment), lines: segmentFacts(segment), namespace: namespace.id },
      [...segment.networks, link?.mac ?? '']
    ),
    isBad: link !== undefined && stateText(link) !== '',
    traffic: members.map(memberTraffic)
  }
}

function containerNode(members: readonly Member[]): GraphNode {
  const [first] = members
  if (first === undefined) throw new Error('a container is drawn because it is a member')
  const { namespace } = first
  const attachments = members.flatMap(member => member.attachment ?? [])
  const ports = attachments.flatMap(one => one.ports).map(port => portText(port, UNICODE_SIGNS))
  const names = attachments.flatMap(one => one.names).filter(name => name !== namespace.name)
  const lines = [
    ...members.map(({ link }) => addressesOf(link)[0] ?? linkText(link)),
    ...(names.length === 0 ? [] : [[...new Set(names)].join(', ')]),
    ...(ports.length === 0 ? [] : [ports.join(', ')])
  ]
  const words = members.flatMap(({ link, via }) => [
    ...link.addresses,
    link.mac,
    link.alias,
    link.name,
    link.owner?.network ?? '',
    via?.name ?? ''
  ])
  return {
    ...node(
      { key: containerKey(namespace.id), kind: 'container', title: namespace.name, lines, namespace: namespace.id },
      [...words, namespace.containerId, namespace.runtime, namespace.processes.command]
    ),
    isBad: members.some(({ link, via }) =>
      [link, ...(via === undefined ? [] : [via])].some(end => stateText(end) !== '')
    ),
    traffic: members.map(memberTraffic)
  }
}

function serviceNode(service: ServiceView): GraphNode {
  const { name, network, addresses, members } = service
  const running = members.filter(one => !one.isAway).length
  const lines = [
    `${String(running)} of ${String(members.length)} on ${network}`,
    ...addresses,
    ...servicePortTexts(service, UNICODE_SIGNS)
  ]
  return {
    ...node({ key: `service ${name}`, kind: 'service', title: `service ${name}`, lines, namespace: '' }, [
      service.alias
    ]),
    isBad: running === 0
  }
}

function node(
  { key, kind, title, lines, namespace }: Pick<GraphNode, 'key' | 'kind' | 'title' | 'lines' | 'namespace'>,
  words: readonly string[]
): GraphNode {
  const all = [title, ...lines, ...words].filter(word => word !== '')
  return { key, kind, title, lines, namespace, isBad: false, traffic: [], words: all.join(' ').toLowerCase() }
}

function segmentEdges(segment: Segment, key: string): readonly GraphEdge[] {
  const { namespace, members } = segment
  const inside = namespace.isHost ? HOST : containerKey(namespace.id)
  return [
    { key: `${inside} - ${key}`, from: inside, to: key, kind: 'wire', traffic: '' },
    ...members.map(
      (member): GraphEdge => ({
        key: `${key} - ${memberTraffic(member)}`,
        from: key,
        to: containerKey(member.namespace.id),
        kind: 'wire',
        traffic: memberTraffic(member)
      })
    )
  ]
}

/** To the members on this host. */
function serviceEdges(service: ServiceView, view: View): readonly GraphEdge[] {
  const key = `service ${service.name}`
  const attachments = view.networks.find(one => one.name === service.network)?.attachments ?? []
  return service.members.flatMap(({ containerId }): readonly GraphEdge[] => {
    const namespace = attachments.find(one => one.containerId === containerId)?.namespace ?? ''
    if (namespace === '') return []
    return [{ key: `${key} - ${namespace}`, from: key, to: containerKey(namespace), kind: 'member', traffic: '' }]
  })
}

export function containerKey(namespace: string): string {
  return `container ${namespace}`
}

function segmentKey({ kind, namespace, link, networks }: Segment): string {
  const what = link === undefined ? networks.join(' ') : indexOf(link)
  return `segment ${namespace.id} ${kind} ${what}`
}

function indexOf(link: LinkView): string {
  return String(link.index)
}

function memberTraffic({ namespace, link }: Member): string {
  return trafficKey(namespace.id, link)
}
