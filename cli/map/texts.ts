/** What drawings say of a port, an interface, the host, in words. */
import type { LinkView, NamespaceView, PortView, ServiceView } from '../../lib/view/model.ts'

/** Signs that not every terminal has. */
export interface Signs {
  readonly arrow: string
  readonly dot: string
}

export const UNICODE_SIGNS: Signs = { arrow: '→', dot: '·' }
export const ASCII_SIGNS: Signs = { arrow: '->', dot: '-' }

/** `8080→80/tcp` */
export function portText(port: PortView, { arrow }: Signs): string {
  const address = port.hostAddress.includes(':') ? `[${port.hostAddress}]` : port.hostAddress
  const last = (first: number): string => (port.count === 1 ? '' : `-${String(first + port.count - 1)}`)
  const host = `${address === '' ? '' : `${address}:`}${String(port.hostPort)}${last(port.hostPort)}`
  return `${host}${arrow}${String(port.containerPort)}${last(port.containerPort)}/${port.protocol}`
}

/** Those that others can use: link-local ones say nothing. */
export function addressesOf(link: LinkView): readonly string[] {
  return link.addresses.filter(address => !/^fe[89ab][0-9a-f]:/.test(address))
}

/** `down` where it is not up; '' for what works. */
export function stateText(link: LinkView): string {
  if (!link.isUp) return 'down'
  return link.state === 'up' || link.state === 'unknown' ? '' : link.state
}

/** The interface, with its state where that is not as it should be: `eth0 (down)`. */
export function linkText(link: LinkView): string {
  const state = stateText(link)
  return state === '' ? link.name : `${link.name} (${state})`
}

/** The host's interfaces to the outside: what is neither a bridge nor the end of a container's wire. */
export function uplinksOf(host: NamespaceView): readonly LinkView[] {
  return host.links.filter(link => {
    if (link.name === 'lo' || link.master !== 0 || ['bridge', 'veth', 'vrf'].includes(link.kind)) return false
    return addressesOf(link).length > 0 || host.routes.some(route => route.link === link.name)
  })
}

/** `default via 192.0.2.1` */
export function routesBy(link: LinkView, host: NamespaceView): readonly string[] {
  return host.routes
    .filter(route => route.link === link.name && route.dst === 'default')
    .map(route => `default${route.gateway === '' ? '' : ` via ${route.gateway}`}`)
}

/** `8001→80/tcp`, for each of its ports */
export function servicePortTexts({ ports }: ServiceView, signs: Signs): readonly string[] {
  return ports.map(port => portText({ ...port, hostAddress: '', count: 1 }, signs))
}

/** `service front: 10.77.0.254, 8001→80/tcp, 1 of 2 members on network shop` */
export function serviceText(service: ServiceView, signs: Signs): string {
  const { name, network, addresses, members } = service
  const running = members.filter(one => !one.isAway).length
  const count = `${String(running)} of ${String(members.length)} members on network ${network}`
  return `service ${name}: ${[...addresses, ...servicePortTexts(service, signs), count].join(', ')}`
}
