/** What every drawing consists of: the host, then panels, each a title with the things that hang on it. */
import type { ClusterHostView, LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import { type Member, type Segment, segmentsOf } from '../../lib/view/segments.ts'
import { addressesOf, linkText, portText, routesBy, type Signs, serviceText, stateText, uplinksOf } from './texts.ts'

export interface Panel {
  readonly title: string
  /** Behind the title: networks, addresses, MTU, ports that lead to no container. */
  readonly facts: readonly string[]
  /** The namespace that it is in; '' for another host. */
  readonly inside: string
  readonly items: readonly Item[]
}

/** A container. */
export interface Item {
  /** Its namespace; '' on another host. */
  readonly namespace: string
  readonly name: string
  /** Of the interface: its name first. */
  readonly lines: readonly string[]
  /** Its wire's end at the panel; '' = none. */
  readonly via: string
  /** Something is wrong with it. */
  readonly isBad: boolean
  /** What else it can be found by. */
  readonly words: readonly string[]
}

export interface Drawing {
  readonly host: NamespaceView | undefined
  /** Of each of its interfaces to the outside: name, addresses, routes. */
  readonly uplinks: readonly (readonly string[])[]
  readonly panels: readonly Panel[]
  /** Namespaces that are not drawn. */
  readonly apart: readonly NamespaceView[]
  readonly notes: readonly string[]
}

export function drawingOf(view: View, signs: Signs): Drawing {
  const { segments, gone, apart } = segmentsOf(view)
  const host = view.namespaces.find(one => one.isHost)
  const uplinks = host === undefined ? [] : uplinksOf(host)
  const others = (view.cluster ?? []).filter(one => one.name !== view.host)
  return {
    host,
    uplinks: uplinks.map(link => [
      linkText(link),
      addressesOf(link).join(' '),
      host === undefined ? '' : routesBy(link, host).join(', ')
    ]),
    panels: [...segments.map(segment => segmentPanel(segment, signs)), ...others.map(hostPanel)],
    apart,
    notes: [
      ...(segments.length === 0 ? ['No container is connected to this host.'] : []),
      ...view.services.map(service => serviceText(service, signs)),
      ...gone.map(
        ({ network, attachment }) => `gone: ${attachment.containerId} (${attachment.ifName}) of network ${network}`
      ),
      ...view.problems
    ]
  }
}

function segmentPanel(segment: Segment, signs: Signs): Panel {
  return {
    title: segmentTitle(segment),
    facts: [...(segment.namespace.isHost ? [] : [`in ${segment.namespace.name}`]), ...segmentFacts(segment)],
    inside: segment.namespace.id,
    items: segment.members.map(member => memberItem(member, signs))
  }
}

/** `bridge patch0`, `macvlan on eth0` */
export function segmentTitle({ kind, link }: Segment): string {
  if (kind === 'wire') return 'veth pairs'
  if (kind === 'device') return 'devices moved into containers'
  return link?.kind === kind ? `${kind} ${link.name}` : `${kind} on ${link?.name ?? ''}`
}

export function segmentFacts({ link, ports, networks }: Segment): readonly string[] {
  const state = link === undefined ? '' : stateText(link)
  return [
    ...(networks.length === 0 ? [] : [`network ${networks.join(', ')}`]),
    ...(link === undefined ? [] : [...addressesOf(link), `MTU ${String(link.mtu)}`]),
    ...(state === '' ? [] : [state]),
    ...ports.map(port => `port ${portOfBridge(port)}`)
  ]
}

function portOfBridge(port: LinkView): string {
  const { vxlan } = port
  if (vxlan === undefined) return linkText(port)
  return `${linkText(port)} (VXLAN ${String(vxlan.id)}${vxlan.local === '' ? '' : `, from ${vxlan.local}`})`
}

function memberItem({ namespace, link, via, attachment }: Member, signs: Signs): Item {
  const names = (attachment?.names ?? []).filter(name => name !== namespace.name)
  const ends = via === undefined ? [link] : [link, via]
  return {
    namespace: namespace.id,
    name: namespace.name,
    lines: [
      linkText(link),
      ...addressesOf(link),
      ...names.map(name => `name ${name}`),
      ...(attachment?.ports ?? []).map(port => portText(port, signs))
    ],
    via: via === undefined ? '' : linkText(via),
    isBad: ends.some(end => stateText(end) !== ''),
    words: [link.mac, link.alias, namespace.containerId, link.owner?.network ?? '', namespace.processes.command]
  }
}

function hostPanel({ name, isPresent, endpoints }: ClusterHostView): Panel {
  const underlays = [...new Set(endpoints.map(one => one.underlay))]
  return {
    title: `host ${name}`,
    facts: [...underlays, ...(isPresent ? [] : ['its agent is away'])],
    inside: '',
    items: endpoints.map(one => ({
      namespace: '',
      name: one.names[0] ?? one.containerId,
      lines: [
        one.ifName,
        ...one.addresses,
        `network ${one.network}`,
        ...one.names.slice(1).map(text => `name ${text}`)
      ],
      via: '',
      isBad: false,
      words: [one.mac, one.containerId]
    }))
  }
}
