/**
 * The container's interface between its two descriptions: the protocol's Result, and links, addresses and routes of
 * the kernel.
 */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { requiredPrevResult } from '../cni/inputs.ts'
import type { Request } from '../cni/plugin.ts'
import type { Interface, IpConfig, Result, Route as ResultRoute } from '../cni/result.ts'
import type { Section } from '../config/section.ts'
import { type IpAddress, isUnspecified } from '../ip/address.ts'
import { formatMac, parseMac } from '../ip/mac.ts'
import { prefixContains } from '../ip/prefix.ts'
import { configureInterface } from '../net/configure-interface.ts'
import { checkInterface, type ExpectedInterface } from '../net/interface-check.ts'
import type { Link } from '../net/links.ts'
import type { Route } from '../net/routes.ts'
import { ownerMark } from './attachment.ts'
import type { Session } from './session.ts'

/** CHECK found the attachment other than ADD left it. The codes from 100 on are the plugins' own. */
export const ATTACHMENT_CHANGED = 100

/** A link as a Result lists it. `sandbox` is the path of the namespace it is in, absent for the host's. */
export function interfaceOf(link: Link, sandbox?: string): Interface {
  return {
    name: link.name,
    mac: link.mac === undefined ? undefined : formatMac(link.mac),
    mtu: link.mtu,
    sandbox
  }
}

/** The addresses as belonging to the interface at that place in the result's `interfaces`. */
export function ipsOnInterface(ips: readonly IpConfig[], index: number): readonly IpConfig[] {
  return ips.map(ip => onInterface(ip, index))
}

function onInterface(ip: IpConfig, index: number): IpConfig {
  return { interface: index, address: ip.address, gateway: ip.gateway }
}

/** The addresses of the container's interface, as prevResult has them. */
export function previousIps(request: Request): readonly IpConfig[] {
  const result = request.prevResult
  return result === undefined ? [] : ipsOf(result, request.ifName)
}

/** Where the container's interface of that name stands in the result; -1 when it does not. */
function indexInContainer(result: Result, ifName: string): number {
  return result.interfaces.findIndex(one => one.name === ifName && (one.sandbox ?? '') !== '')
}

/** The addresses of the container's interface of that name; those that name no interface are taken for its. */
export function ipsOf(result: Result, ifName: string): readonly IpConfig[] {
  return result.ips.filter(ip => {
    const holder = ip.interface === undefined ? undefined : result.interfaces[ip.interface]
    return holder === undefined || (holder.name === ifName && (holder.sandbox ?? '') !== '')
  })
}

/**
 * The result's routes for the kernel. A route without gateway takes that of the first address of its family that has
 * one.
 */
export function kernelRoutes(result: Result): readonly Route[] {
  return result.routes.map(route => kernelRoute(route, route.gw ?? gatewayFor(result.ips, route.dst.address.family)))
}

/** A gateway of 0.0.0.0 or :: is none: the destination is on the link (DHCP option 121, RFC 3442 "Local Subnet Routes"). */
function kernelRoute(route: ResultRoute, given: IpAddress | undefined): Route {
  const gateway = given === undefined || isUnspecified(given) ? undefined : given
  return {
    family: route.dst.address.family,
    dst: route.dst.length === 0 ? undefined : route.dst,
    gateway,
    metric: route.priority,
    mtu: route.mtu,
    advmss: route.advmss,
    table: route.table,
    scope: route.scope
  }
}

function gatewayFor(ips: readonly IpConfig[], family: 4 | 6): IpAddress | undefined {
  return ips.find(ip => ip.address.address.family === family && ip.gateway !== undefined)?.gateway
}

/**
 * Reads `acceptRa`.
 *
 * @param isGateway where the host is the gateway nobody else has a route to offer: what advertises one is a neighbour that wants
 *   to be the way out
 * @returns undefined = the kernel's default
 */
export function readAcceptRa(config: Section, isGateway: boolean): boolean | undefined {
  if (config.has('acceptRa')) return config.boolean('acceptRa', true)
  return isGateway ? false : undefined
}

/** Options of `configureAttachment` that differ between plugins. */
export interface AttachmentOptions {
  /** Wait until no other host claims the IPv6 addresses. */
  readonly detectDuplicates?: boolean | undefined
  /** Whether routers may give it further IPv6 addresses and routes; the kernel's default when absent. */
  readonly acceptRa?: boolean | undefined
  /** Another alias than the attachment's mark. */
  readonly alias?: string | undefined
}

/** Gives the container's link all addresses and routes of the result, marks it as this attachment's and sets it up. */
export function configureAttachment(session: Session, link: Link, result: Result, options: AttachmentOptions): void {
  configureInterface(session.container(), link, {
    addresses: result.ips.map(ip => ip.address),
    routes: kernelRoutes(result),
    detectDuplicates: options.detectDuplicates,
    acceptRouterAdvertisements: options.acceptRa,
    alias: options.alias ?? ownerMark(session.request)
  })
}

/**
 * What CHECK has to find in the container: the interface of that name in prevResult with its MAC, MTU, addresses and
 * all routes.
 *
 * @param kind as `ip -d link` shows it; not looked at when absent
 * @throws CniError code 7 when prevResult is missing or does not have the interface
 */
export function expectedAttachment(request: Request, kind: string | undefined): ExpectedInterface {
  const result = requiredPrevResult(request)
  const index = indexInContainer(result, request.ifName)
  const one = result.interfaces[index]
  if (one === undefined) {
    const message = `read prevResult: no interface ${JSON.stringify(request.ifName)} of a container in it`
    throw new CniError(INVALID_CONFIG, message, 'pass the result of this attachment to CHECK')
  }
  const ips = ipsOf(result, request.ifName)
  const routes = routesOfInterface(result, ips)
  return {
    name: request.ifName,
    kind,
    mac: one.mac === undefined ? undefined : parseMac(one.mac),
    mtu: one.mtu,
    addresses: ips.map(ip => ip.address),
    routes: kernelRoutes({ ...result, ips, routes }),
    // Our ADD has it lead over the address's gateway; a plugin behind us in the chain may have added one that is on the link.
    mayBeOnLink: routes.map(route => route.gw === undefined)
  }
}

/**
 * A result does not tell whose its routes are. Where the container has several interfaces of the chain, only those count
 * as this one's whose gateway is its neighbour.
 */
function routesOfInterface(result: Result, ips: readonly IpConfig[]): readonly ResultRoute[] {
  if (result.interfaces.filter(one => (one.sandbox ?? '') !== '').length === 1) return result.routes
  return result.routes.filter(route => {
    const gateway = route.gw
    return gateway !== undefined && ips.some(ip => prefixContains(ip.address, gateway))
  })
}

/** Compares the container's interface with what is expected; every difference as a sentence. */
export function attachmentProblems(session: Session, expected: ExpectedInterface): readonly string[] {
  return checkInterface(session.container(), expected)
}

/** @throws CniError code 100 naming all differences, when there are any */
export function refuseChanges(request: Request, problems: readonly string[]): void {
  if (problems.length === 0) return
  const message = `check ${JSON.stringify(request.ifName)} of ${JSON.stringify(request.containerId)}: ${problems.join('; ')}`
  throw new CniError(ATTACHMENT_CHANGED, message, 'somebody changed the attachment: DEL and ADD restore it')
}
