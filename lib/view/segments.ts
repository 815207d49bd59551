/**
 * What is drawn together: a bridge with its containers, the containers over one parent interface, those on a wire of their
 * own. Every drawing of the host is made from this.
 */
import type { AttachmentView, LinkView, NamespaceView, View } from './model.ts'

/** An interface of a namespace on a segment. */
export interface Member {
  readonly namespace: NamespaceView
  readonly link: LinkView
  /** The end of its wire in the segment's namespace; undefined where there is none (macvlan, a moved device). */
  readonly via: LinkView | undefined
  readonly attachment: AttachmentView | undefined
}

export interface Segment {
  /** `bridge`, `bond`, `vrf`, `macvlan`, `ipvlan`, `vlan`; `wire` for a veth pair alone; `device` for moved ones. */
  readonly kind: string
  /** The namespace that it is in. */
  readonly namespace: NamespaceView
  /** The bridge or the parent; undefined for wires and devices. */
  readonly link: LinkView | undefined
  /** Of its members, each once. */
  readonly networks: readonly string[]
  readonly members: readonly Member[]
  /** Other ports of the bridge: physical interfaces, tunnels, ends of wires that lead nowhere. */
  readonly ports: readonly LinkView[]
}

/** Attachments that are recorded, and whose container is not there. */
interface Gone {
  readonly network: string
  readonly attachment: AttachmentView
}

export interface Segments {
  /** The host's first, then those inside containers. */
  readonly segments: readonly Segment[]
  readonly gone: readonly Gone[]
  /** Containers and other namespaces that no wire leads to from the host. */
  readonly apart: readonly NamespaceView[]
}

/** A namespace and an index as a key. */
function placeKey(namespace: string, index: number): string {
  return `${namespace} ${String(index)}`
}

export function segmentsOf(view: View): Segments {
  const index = new ViewIndex(view)
  const [host] = view.namespaces
  const devices = view.namespaces.filter(one => !one.isHost).flatMap(namespace => movedDevices(namespace, index))
  const all = [
    ...view.namespaces.flatMap(namespace => segmentsIn(namespace, index)),
    ...(host === undefined ? [] : byNetwork(devices).map(members => segment('device', host, undefined, members)))
  ]
  const reached = reachedFromHost(view, all)
  const gone = view.networks.flatMap(({ name, attachments }) =>
    attachments.filter(one => one.namespace === '').map(attachment => ({ network: name, attachment }))
  )
  return {
    segments: all.filter(segment => reached.has(segment.namespace.id)),
    gone,
    apart: view.namespaces.filter(one => !reached.has(one.id))
  }
}

/** What a view is asked for again and again. */
class ViewIndex {
  readonly #namespaces: ReadonlyMap<string, NamespaceView>
  readonly #links = new Map<string, LinkView>()
  readonly #attachments = new Map<string, AttachmentView>()
  /** Links of other namespaces over a link, by that link. */
  readonly #above = new Map<string, { readonly namespace: NamespaceView; readonly link: LinkView }[]>()

  constructor(view: View) {
    this.#namespaces = new Map(view.namespaces.map(one => [one.id, one]))
    for (const namespace of view.namespaces) {
      for (const link of namespace.links) {
        this.#links.set(placeKey(namespace.id, link.index), link)
        if (link.peer === undefined || link.kind === 'veth' || link.peer.namespace === namespace.id) continue
        const key = placeKey(link.peer.namespace, link.peer.index)
        const known = this.#above.get(key)
        if (known === undefined) this.#above.set(key, [{ namespace, link }])
        else known.push({ namespace, link })
      }
    }
    for (const network of view.networks) {
      for (const one of network.attachments) {
        const key = attachmentKey(network.name, one.containerId, one.ifName)
        this.#attachments.set(key, one)
      }
    }
  }

  memberAt(link: LinkView, of: NamespaceView): Member | undefined {
    const { peer } = link
    if (peer === undefined || link.kind !== 'veth' || peer.namespace === of.id) return undefined
    const namespace = this.#namespaces.get(peer.namespace)
    const other = this.#links.get(placeKey(peer.namespace, peer.index))
    return namespace === undefined || other === undefined ? undefined : this.member(namespace, other, link)
  }

  member(namespace: NamespaceView, link: LinkView, via: LinkView | undefined): Member {
    const { owner } = link
    const key = owner === undefined ? '' : attachmentKey(owner.network, owner.containerId, owner.ifName)
    return { namespace, link, via, attachment: this.#attachments.get(key) }
  }

  above(namespace: NamespaceView, link: LinkView): readonly Member[] {
    const key = placeKey(namespace.id, link.index)
    return (this.#above.get(key) ?? []).map(one => this.member(one.namespace, one.link, undefined))
  }
}

/** No name of a network or a container holds a colon. */
function attachmentKey(network: string, containerId: string, ifName: string): string {
  return `${network}:${containerId}:${ifName}`
}

function segmentsIn(namespace: NamespaceView, index: ViewIndex): readonly Segment[] {
  const mastered = new Set(namespace.links.map(port => port.master))
  const masters = namespace.links.filter(link => link.kind === 'bridge' || mastered.has(link.index))
  const wires = namespace.links.flatMap(link => wireAt(link, namespace, index) ?? [])
  return [
    ...masters.map(link => segmentOfMaster(namespace, link, index)),
    ...namespace.links.flatMap(link => segmentsOver(namespace, link, index)),
    ...byNetwork(wires).map(members => segment('wire', namespace, undefined, members))
  ]
}

/** A wire between two containers is drawn once, at the one whose number is lower; one with a bridge at an end, with that. */
function wireAt(link: LinkView, namespace: NamespaceView, index: ViewIndex): Member | undefined {
  const far = link.master === 0 ? index.memberAt(link, namespace) : undefined
  if (far === undefined || far.link.master !== 0 || far.namespace.isHost) return undefined
  return namespace.isHost || Number(namespace.id) < Number(far.namespace.id) ? far : undefined
}

function segmentOfMaster(namespace: NamespaceView, link: LinkView, index: ViewIndex): Segment {
  const own = namespace.links.filter(port => port.master === link.index)
  const members = own.flatMap(port => index.memberAt(port, namespace) ?? [])
  const ports = own.filter(port => index.memberAt(port, namespace) === undefined)
  return { ...segment(link.kind, namespace, link, members), ports }
}

function segmentsOver(namespace: NamespaceView, link: LinkView, index: ViewIndex): readonly Segment[] {
  const above = index.above(namespace, link)
  const kinds = [...new Set(above.map(member => member.link.kind))].sort()
  return kinds.map(kind =>
    segment(
      kind,
      namespace,
      link,
      above.filter(member => member.link.kind === kind)
    )
  )
}

/** Interfaces that the network's records know, and that no wire leads to. */
function movedDevices(namespace: NamespaceView, index: ViewIndex): readonly Member[] {
  return namespace.links
    .filter(link => link.owner !== undefined && link.peer === undefined && link.name !== 'lo')
    .map(link => index.member(namespace, link, undefined))
}

function byNetwork(members: readonly Member[]): readonly (readonly Member[])[] {
  const networks = [...new Set(members.map(networkOf))].sort()
  return networks.map(name => members.filter(member => networkOf(member) === name))
}

function networkOf(member: Member): string {
  return member.link.owner?.network ?? member.via?.owner?.network ?? ''
}

function segment(
  kind: string,
  namespace: NamespaceView,
  link: LinkView | undefined,
  members: readonly Member[]
): Segment {
  const networks = [...new Set(members.map(networkOf))].filter(name => name !== '').sort()
  return { kind, namespace, link, networks, members: [...members].sort(byMember), ports: [] }
}

function byMember(a: Member, b: Member): number {
  if (a.namespace.name !== b.namespace.name) return a.namespace.name < b.namespace.name ? -1 : 1
  return a.link.index - b.link.index
}

/** Over wires, one after the other. */
function reachedFromHost(view: View, segments: readonly Segment[]): ReadonlySet<string> {
  const next = new Map<string, string[]>()
  const connect = (a: string, b: string): void => {
    const known = next.get(a)
    if (known === undefined) next.set(a, [b])
    else known.push(b)
  }
  const host = view.namespaces.find(one => one.isHost)?.id ?? ''
  for (const { namespace, members } of segments) {
    for (const member of members) {
      connect(namespace.id, member.namespace.id)
      connect(member.namespace.id, namespace.id)
    }
  }
  const reached = new Set([host])
  for (const id of reached) for (const other of next.get(id) ?? []) reached.add(other)
  return reached
}
