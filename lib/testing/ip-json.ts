/** What iproute2 sees in a namespace: the independent witness of kernel tests. */
import type { Namespace } from './namespace.ts'

export interface IpLink {
  readonly ifname: string
  readonly ifindex: number
  readonly link_index?: number
  readonly mtu: number
  readonly address: string
  readonly operstate: string
  readonly flags: readonly string[]
  readonly ifalias?: string
  readonly master?: string
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: Readonly<Record<string, unknown>> }
}

export interface IpAddressLine {
  readonly family: string
  readonly local: string
  readonly prefixlen: number
  readonly scope: string
  readonly nodad?: boolean
  readonly tentative?: boolean
  readonly noprefixroute?: boolean
}

export interface IpRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev?: string
  readonly scope?: string
  readonly metric?: number
  readonly prefsrc?: string
  readonly protocol?: string
  readonly flags: readonly string[]
  readonly metrics?: readonly Readonly<Record<string, number>>[]
  readonly nexthops?: readonly { readonly gateway?: string; readonly dev: string }[]
}

/** Runs a command that must succeed. @returns its standard output */
export function must(box: Namespace, program: string, ...args: readonly string[]): string {
  const outcome = box.run(program, args)
  if (outcome.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${outcome.stderr}`)
  return outcome.stdout
}

/** `ip LINE` with success. */
export function ip(box: Namespace, line: string): void {
  must(box, 'ip', ...line.split(' '))
}

export function ipLinks(box: Namespace): readonly IpLink[] {
  return parse<IpLink>(must(box, 'ip', '-j', '-d', 'link'))
}

/** The link of that name, which must be there. */
export function ipLink(box: Namespace, name: string): IpLink {
  const link = ipLinks(box).find(one => one.ifname === name)
  if (link === undefined) throw new Error(`no link ${name}: ${linkNames(box).join(' ')}`)
  return link
}

/** Addresses of a link without those that the kernel makes itself (IPv6 link-local). */
export function ipAddresses(box: Namespace, name: string): readonly IpAddressLine[] {
  const links = parse<{ readonly addr_info: readonly IpAddressLine[] }>(
    must(box, 'ip', '-j', 'addr', 'show', 'dev', name)
  )
  return (links[0]?.addr_info ?? []).filter(address => !address.local.startsWith('fe80:'))
}

/** Routes of table main without IPv6 link-local and multicast ones. */
export function ipRoutes(box: Namespace, family: 4 | 6): readonly IpRoute[] {
  const routes = parse<IpRoute>(must(box, 'ip', '-j', `-${String(family)}`, 'route'))
  return routes.filter(route => !route.dst.startsWith('fe80:') && !route.dst.startsWith('ff00:'))
}

/** A route as `ip route` would print it, for comparing. */
export function routeLine(route: IpRoute): string {
  const via = route.gateway === undefined ? '' : ` via ${route.gateway}`
  const metric = route.metric === undefined ? '' : ` metric ${String(route.metric)}`
  return `${route.dst}${via} dev ${route.dev ?? '?'}${metric}`
}

/** Names of all links but lo, sorted: what must not change over a failed ADD. */
export function linkNames(box: Namespace): readonly string[] {
  return ipLinks(box)
    .map(link => link.ifname)
    .filter(name => name !== 'lo')
    .sort()
}

/** `ip -j` prints nothing at all for an empty list. */
function parse<T>(text: string): readonly T[] {
  const list: readonly T[] = text.trim() === '' ? [] : JSON.parse(text)
  // iproute2 6.1 puts empty objects where a filter left something out.
  return list.filter(one => Object.keys(one as object).length > 0)
}
