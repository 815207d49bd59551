/** The devices of an overlay network on this host, set right while containers are on them. */

import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { hostPrefix, type IpPrefix, networkOf, parsePrefix } from '../lib/ip/prefix.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import type { Link } from '../lib/net/links.ts'
import type { Net } from '../lib/net/net.ts'
import { pinGateway } from '../lib/overlay/peers.ts'
import {
  ensureTunnel,
  inPlace,
  LEAST_IPV6_MTU,
  type Tunnel,
  type TunnelPlace,
  tunnelProblems
} from '../lib/overlay/tunnel.ts'
import { withNamedLock } from '../lib/state/lock.ts'
import { isHeld, isHostsOwn, type LocalEndpoint } from './endpoint.ts'

/** IPv6 routes of the kernel's own have 256; the lower one wins. */
const IPV6_METRIC = 128

/**
 * Makes bridge and tunnel again when somebody has taken them away or changed them, and puts the containers back on them.
 *
 * @returns what was wrong with bridge and tunnel; undefined when no container is here and it is not held: what the last DEL takes away stays
 *   away
 */
export function repairDevices(
  kernel: Kernel,
  tunnel: Tunnel,
  locals: readonly LocalEndpoint[]
): readonly string[] | undefined {
  const host = kernel.host()
  try {
    return inPlace(
      host,
      path => kernel.find(path),
      tunnel,
      place => repair(place, tunnel, locals)
    )
  } finally {
    host.close()
  }
}

function repair(place: TunnelPlace, tunnel: Tunnel, locals: readonly LocalEndpoint[]): readonly string[] | undefined {
  const { host } = place
  const links = host.links.list()
  const ends = new Set(locals.filter(local => !isHostsOwn(local)).map(local => local.hostEnd))
  if (!locals.some(isHeld) && !links.some(link => ends.has(link.name))) return undefined
  const problems = tunnelProblems(place, tunnel)
  if (problems.length > 0) {
    withNamedLock(locals[0]?.stateDir, `overlay-${tunnel.bridge}`, () => {
      const made = ensureTunnel(place, tunnel)
      // As the plugin makes it.
      if (tunnel.learning && tunnel.isGateway) pinGateway(host, made.link, tunnel)
    })
  }
  const bridge = host.links.get(tunnel.bridge)
  for (const link of links) {
    if (link.masterIndex === bridge.index || !ends.has(link.name)) continue
    host.links.set(link.index, { masterIndex: bridge.index, up: true })
  }
  ensureAddresses(host, bridge, tunnel, locals)
  return problems
}

function ensureAddresses(host: Net, bridge: Link, tunnel: Tunnel, locals: readonly LocalEndpoint[]): void {
  const fits = ({ family }: IpAddress): boolean => family === 4 || tunnel.mtu >= LEAST_IPV6_MTU
  const gateways = gatewaysOf(locals).filter(({ address }) => fits(address))
  for (const prefix of gateways) host.addresses.ensure(bridge.index, [{ prefix, noDad: true }])
  for (const text of locals.filter(isHostsOwn).flatMap(local => local.ips)) {
    const own = parseAddress(text)
    if (own !== undefined && fits(own)) ensureOwnAddress(host, bridge, own, gateways)
  }
}

/** The gateway addresses of the network's containers here, each once. */
function gatewaysOf(locals: readonly LocalEndpoint[]): readonly IpPrefix[] {
  return [...new Set(locals.flatMap(local => local.gateways))].flatMap(text => parsePrefix(text) ?? [])
}

/**
 * The host's own address in the network, from which its processes speak to containers. The gateway's is on every host:
 * what a container on another host answers to it ends there.
 */
function ensureOwnAddress(host: Net, bridge: Link, own: IpAddress, gateways: readonly IpPrefix[]): void {
  host.addresses.ensure(bridge.index, [{ prefix: hostPrefix(own), noDad: true, noPrefixRoute: true }])
  for (const gateway of gateways.filter(one => one.address.family === own.family)) {
    const dst = networkOf(gateway)
    const filter = { family: own.family, index: bridge.index, dst }
    const isThere = host.routes
      .list(filter)
      .some(route => route.source !== undefined && addressesEqual(route.source, own))
    // IPv4 keeps one route for a destination and metric at the front: this one takes the place of the kernel's.
    const metric = own.family === 6 ? IPV6_METRIC : undefined
    if (!isThere) host.routes.replace({ dst, index: bridge.index, source: own, metric })
  }
}

/** Gives the containers' interfaces the tunnel's MTU, both ends: what is larger would be lost without a word. */
export function followMtu(kernel: Kernel, tunnel: Tunnel, locals: readonly LocalEndpoint[]): void {
  const host = kernel.host()
  try {
    for (const local of locals.filter(one => !isHostsOwn(one))) {
      const end = host.links.find(local.hostEnd)
      if (end !== undefined && end.mtu !== tunnel.mtu) host.links.set(end.index, { mtu: tunnel.mtu })
      setInContainer(kernel, local, tunnel.mtu)
    }
  } finally {
    host.close()
  }
}

/** The namespace's path may lead elsewhere by now: the interface is known by its address, too. */
function setInContainer(kernel: Kernel, local: LocalEndpoint, mtu: number): void {
  const container = kernel.find(local.netns)
  if (container === undefined) return
  try {
    const link = container.links.find(local.ifName)
    if (link?.mac === undefined || formatMac(link.mac) !== local.mac || link.kind !== 'veth') return
    if (link.mtu !== mtu) container.links.set(link.index, { mtu })
  } finally {
    container.close()
  }
}

/** This host's own addresses on the bridge: its bridge answers for them itself. */
export function ownAddresses(locals: readonly LocalEndpoint[]): ReadonlySet<string> {
  const gateways = gatewaysOf(locals).map(prefix => formatAddress(prefix.address))
  return new Set([...gateways, ...locals.filter(isHostsOwn).flatMap(local => local.ips)])
}
