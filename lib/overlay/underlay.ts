/** The network that carries the tunnels: which interface and which address of this host. */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { addressesEqual, formatAddress, type IpAddress, isLinkLocal, isLoopback } from '../ip/address.ts'
import { type IpPrefix, prefixContains } from '../ip/prefix.ts'
import type { Address } from '../net/addresses.ts'
import { defaultLinkIndex } from '../net/default-route.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { type Route, SCOPE_GLOBAL } from '../net/routes.ts'

/** linux/if_addr.h: IPv4, not the first of its network; IPv6, one of many that last for a day. */
const IFA_F_SECONDARY = 1

/** What the configuration says about it. */
export interface UnderlayConfig {
  /** The interface; '' = none named */
  readonly dev: string
  readonly local: IpAddress | undefined
  /** The other hosts, as far as they are known here. */
  readonly peers: readonly IpAddress[]
  readonly group: IpAddress | undefined
  /** When nothing of the above tells it; undefined = IPv4 if there is any. */
  readonly family?: 4 | 6 | undefined
}

export interface Underlay {
  readonly link: Link
  readonly local: IpAddress
  /** Every address of this host that others could know it by. */
  readonly own: readonly IpAddress[]
}

/**
 * Finds interface and address: those named; else the one whose address is in the list of peers (a list may name all
 * hosts and be the same on each); else the one next to a peer; else that of the default route.
 *
 * @throws {CniError} code 7 saying what is missing
 */
export function findUnderlay(host: Net, config: UnderlayConfig): Underlay {
  const addresses = host.addresses.list().filter(isUsable)
  const family = config.family ?? config.group?.family ?? config.peers[0]?.family
  if (config.local !== undefined) return ofLocal(host, addresses, config.local, config.dev)
  const link = config.dev === '' ? chooseLink(host, addresses, config, family) : host.links.find(config.dev)
  if (link === undefined) throw missing(config)
  const here = addresses.filter(one => one.index === link.index && fits(one, family))
  const own = here.find(one => isPeer(config, one.prefix.address)) ?? sourceOf(host, link, here)
  if (own !== undefined) return { link, local: own.prefix.address, own: addresses.map(one => one.prefix.address) }
  throw new CniError(
    INVALID_CONFIG,
    `find underlay: link ${JSON.stringify(link.name)} has no ${family === undefined ? 'IP' : `IPv${String(family)}`} address`,
    'give it one, or name another interface in the key "dev"'
  )
}

/**
 * The address that packets by the default route come from. An address that only visits this host (a floating one has
 * often the full length, and may be listed first) would take the tunnel along when it moves on.
 */
function sourceOf(host: Net, link: Link, here: readonly Address[]): Address | undefined {
  const family = here.some(isIpv4) ? 4 : 6
  const own = here.filter(one => one.prefix.address.family === family)
  const lasting = own.filter(one => (one.flags & IFA_F_SECONDARY) === 0)
  const defaults = host.routes.list({ family, index: link.index }).filter(isDefault)
  const preferred = own.find(one => defaults.some(route => isSource(route, one.prefix.address)))
  const near = lasting.find(one => defaults.some(route => leadsOver(route, one.prefix)))
  const inNetwork = lasting.find(one => one.prefix.length < 8 * one.prefix.address.bytes.length)
  return preferred ?? near ?? inNetwork ?? lasting[0] ?? own[0]
}

function isDefault(route: Route): boolean {
  return route.dst === undefined || route.dst.length === 0
}

function isSource(route: Route, address: IpAddress): boolean {
  return route.source !== undefined && addressesEqual(route.source, address)
}

function leadsOver(route: Route, prefix: IpPrefix): boolean {
  return route.gateway !== undefined && prefixContains(prefix, route.gateway)
}

/** Of this host towards others: neither loopback nor link-local, and not still being checked. */
function isUsable(one: Address): boolean {
  const { address } = one.prefix
  return one.scope === SCOPE_GLOBAL && !one.isDuplicate && !isLinkLocal(address) && !isLoopback(address)
}

function fits(one: Address, family: 4 | 6 | undefined): boolean {
  return family === undefined || one.prefix.address.family === family
}

function isIpv4(one: Address): boolean {
  return one.prefix.address.family === 4
}

function isPeer(config: UnderlayConfig, address: IpAddress): boolean {
  return config.peers.some(peer => addressesEqual(peer, address))
}

function ofLocal(host: Net, addresses: readonly Address[], local: IpAddress, dev: string): Underlay {
  const owner = addresses.find(one => addressesEqual(one.prefix.address, local))
  const link = owner === undefined ? undefined : host.links.findByIndex(owner.index)
  if (link !== undefined && (dev === '' || link.index === host.links.find(dev)?.index)) {
    return { link, local, own: addresses.map(one => one.prefix.address) }
  }
  const where = dev === '' ? 'no interface of this host has it' : `it is not on interface ${JSON.stringify(dev)}`
  throw new CniError(
    INVALID_CONFIG,
    `find underlay address ${JSON.stringify(formatAddress(local))}: ${where}`,
    'correct the key "local", or leave it out to have the address chosen'
  )
}

function chooseLink(
  host: Net,
  addresses: readonly Address[],
  config: UnderlayConfig,
  family: 4 | 6 | undefined
): Link | undefined {
  const owner =
    addresses.find(one => isPeer(config, one.prefix.address)) ??
    addresses.find(one => config.peers.some(peer => prefixContains(one.prefix, peer)))
  if (owner !== undefined) return host.links.findByIndex(owner.index)
  const first = family ?? 4
  const index = defaultLinkIndex(host, first) ?? (family === undefined ? defaultLinkIndex(host, 6) : undefined)
  return index === undefined ? undefined : host.links.findByIndex(index)
}

function missing(config: UnderlayConfig): CniError {
  return config.dev === ''
    ? new CniError(
        INVALID_CONFIG,
        'find underlay: no default route on the host, and no peer is next to it',
        'name the interface that leads to the other hosts in the key "dev", or its address in "local"'
      )
    : new CniError(
        INVALID_CONFIG,
        `find underlay ${JSON.stringify(config.dev)}: no such interface on the host`,
        'correct the key "dev"'
      )
}
