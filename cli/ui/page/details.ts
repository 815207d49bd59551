/** All about what was chosen: a namespace with its interfaces, or a service. */
import type { LinkPlace, LinkView, NamespaceView, ServiceView, View } from '../../../lib/view/model.ts'
import { portText, servicePortTexts, stateText, UNICODE_SIGNS } from '../../map/texts.ts'
import { sizeText } from '../../top/size-text.ts'
import { trafficKey } from '../model.ts'
import { TrafficChart } from './chart.ts'
import { button, byId, element, facts, setText } from './dom.ts'
import type { History } from './rates.ts'

/** What is shown: a namespace by its id, a service by its name. */
export interface Choice {
  readonly kind: 'namespace' | 'service'
  readonly id: string
}

export class DetailsPanel {
  readonly #panel = byId('details')
  readonly #onClose: () => void
  readonly #charts = new Map<string, TrafficChart>()
  #choice: Choice | undefined
  /** Of what is shown, without what moves: as long as it is the same, only numbers change. */
  #shape = ''

  constructor(onClose: () => void) {
    this.#onClose = onClose
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#shape = ''
    })
  }

  get choice(): Choice | undefined {
    return this.#choice
  }

  open(choice: Choice | undefined): void {
    this.#choice = choice
    this.#panel.hidden = choice === undefined
    this.#shape = ''
  }

  update(view: View, history: History): void {
    const { kind, id } = this.#choice ?? { kind: 'none', id: '' }
    if (kind === 'none') return
    const namespace = kind === 'namespace' ? view.namespaces.find(one => one.id === id) : undefined
    const service = kind === 'service' ? view.services.find(one => one.name === id) : undefined
    const shape = JSON.stringify([service, namespace], (key, value) => (key === 'counters' ? undefined : value))
    if (shape !== this.#shape) {
      this.#shape = shape
      this.#build(view, namespace, service)
    }
    if (namespace !== undefined) this.#count(namespace, history)
  }

  #build(view: View, namespace: NamespaceView | undefined, service: ServiceView | undefined): void {
    const hadFocus = this.#panel.contains(document.activeElement)
    for (const chart of this.#charts.values()) chart.close()
    this.#charts.clear()
    const title = element('h2', '', namespace?.name ?? service?.name ?? 'It has gone')
    const close = button('close', '×', this.#onClose)
    close.setAttribute('aria-label', 'Close details')
    const about =
      namespace !== undefined ? aboutNamespace(namespace, view) : service !== undefined ? aboutService(service) : []
    this.#panel.replaceChildren(element('div', 'top', title, close), ...about)
    if (hadFocus) close.focus()
  }

  /** What moves: counters, rates, charts. */
  #count(namespace: NamespaceView, history: History): void {
    for (const link of namespace.links) {
      const key = trafficKey(namespace.id, link)
      const place = this.#panel.querySelector(`[data-counters="${String(link.index)}"]`)
      if (place === null) continue
      setText(place, countersText(link))
      const course = history.of(key)
      const chart = this.#charts.get(key)
      if (chart !== undefined) chart.update(course)
      else if (course.at.length > 1) {
        const made = new TrafficChart(`Received and sent by ${link.name}, bytes per second`, course)
        this.#charts.set(key, made)
        place.before(
          made.element,
          element('p', 'legend', element('span', 'rx', 'received'), ' ', element('span', 'tx', 'sent'), ' bytes/s')
        )
      }
    }
  }
}

function countersText({ counters }: LinkView): string {
  const { rxBytes, rxPackets, rxDropped, rxErrors, txBytes, txPackets, txDropped, txErrors } = counters
  const one = (bytes: number, packets: number, lost: number): string =>
    `${sizeText(bytes)}B in ${String(packets)} packets${lost === 0 ? '' : `, ${String(lost)} lost`}`
  return `received ${one(rxBytes, rxPackets, rxDropped + rxErrors)}; sent ${one(txBytes, txPackets, txDropped + txErrors)}`
}

function aboutNamespace(namespace: NamespaceView, view: View): readonly Node[] {
  const { processes, paths, id } = namespace
  const process =
    processes.pid === 0 ? '' : `${processes.command} (${String(processes.pid)}), ${String(processes.count)} in all`
  const attachments = view.networks.flatMap(network =>
    network.attachments.filter(one => one.namespace === id).map(one => ({ network, one }))
  )
  return [
    facts([
      ['container', namespace.containerId],
      ['runtime', namespace.runtime],
      ['process', process],
      ['namespace', paths.join(' ') || id],
      ['not read', namespace.problem]
    ]),
    ...attachments.flatMap(({ network, one }) => [
      element('h3', '', `network ${network.name}`),
      facts([
        ['driver', network.driver],
        ['interface', one.ifName],
        ['addresses', one.addresses.join(' ')],
        ['names', one.names.join(', ')],
        ['ports', one.ports.map(port => portText(port, UNICODE_SIGNS)).join(', ')],
        ['recorded by', one.recordedBy.join(', ')]
      ])
    ]),
    ...loLast(namespace.links).flatMap(link => aboutLink(link, view)),
    ...routesOf(namespace)
  ]
}

/** It has the lowest index, and says least. */
function loLast(links: readonly LinkView[]): readonly LinkView[] {
  const isLo = (link: LinkView): boolean => link.name === 'lo'
  return [...links.filter(link => !isLo(link)), ...links.filter(isLo)]
}

function aboutLink(link: LinkView, view: View): readonly Node[] {
  const counters = element('p', 'counters')
  counters.dataset['counters'] = String(link.index)
  return [
    element('h3', '', link.name),
    facts([
      ['kind', link.kind],
      ['state', stateText(link) === '' ? 'up' : stateText(link)],
      ['addresses', link.addresses.join(' ')],
      ['MAC', link.mac],
      ['MTU', String(link.mtu)],
      ['alias', link.alias],
      ['other names', link.altNames.join(' ')],
      ['other end', link.peer === undefined ? '' : placeText(link.peer, view)],
      [
        'VXLAN',
        link.vxlan === undefined ? '' : `${String(link.vxlan.id)}, port ${String(link.vxlan.port)} ${link.vxlan.local}`
      ],
      ['network', link.owner?.network ?? '']
    ]),
    counters
  ]
}

function placeText(place: LinkPlace, view: View): string {
  const namespace = view.namespaces.find(one => one.id === place.namespace)
  const link = namespace?.links.find(one => one.index === place.index)
  return `${link?.name ?? `#${String(place.index)}`} of ${namespace?.name ?? place.namespace}`
}

function routesOf({ routes }: NamespaceView): readonly Node[] {
  if (routes.length === 0) return []
  const lines = routes.map(({ dst, gateway, link, type }) =>
    [type === 'unicast' ? '' : type, dst, gateway === '' ? '' : `via ${gateway}`, link === '' ? '' : `dev ${link}`]
      .filter(word => word !== '')
      .join(' ')
  )
  return [element('h3', '', 'routes'), element('ul', 'routes', ...lines.map(line => element('li', '', line)))]
}

function aboutService(service: ServiceView): readonly Node[] {
  const { network, alias, mode, addresses, isSticky, members } = service
  return [
    facts([
      ['network', network],
      ['members are called', alias],
      ['mode', mode],
      ['addresses', addresses.join(' ')],
      ['sticky', isSticky ? 'by source' : ''],
      ['ports', servicePortTexts(service, UNICODE_SIGNS).join(', ')]
    ]),
    element('h3', '', 'members'),
    element(
      'ul',
      '',
      ...members.map(one =>
        element(
          'li',
          one.isAway ? 'bad' : '',
          `${one.name} on ${one.host}: ${one.addresses.join(' ')}${one.isAway ? ' (away)' : ''}`
        )
      )
    )
  ]
}
