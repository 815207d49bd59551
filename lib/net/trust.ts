/** What the neighbours on a link may configure this host by, and how that is switched off. */

import { NLA_HEADER } from '../netlink/payload-reader.ts'
import { AF_INET, AF_INET6 } from '../netlink/rt/link.ts'
import type { Link } from './links.ts'
import type { Net } from './net.ts'

/** Places of sysctls in IFLA_INET_CONF, which begins at number 1, and IFLA_INET6_CONF. @source linux/ip.h, linux/ipv6.h */
const IPV4_ACCEPT_REDIRECTS = 4 - 1
const IPV6_ACCEPT_RA = 3
const IPV6_ACCEPT_REDIRECTS = 4

const IFLA_INET_CONF = 1
const IFLA_INET6_CONF = 2

/**
 * For an interface of the host that faces containers, before it is up: one router advertisement of a container would give
 * the host a default route through that container, and a redirect a route to whatever it names (CVE-2020-10749). A host
 * that forwards and has `accept_ra` 2 is no exception, since a new interface begins with that.
 *
 * @param link as it is now: the kernel tells with it what there is to switch off
 */
export function distrustNeighbours(host: Net, link: Link): void {
  host.sysctls.writeIfPresent(trustsOf(link).map(path => ({ path, value: '0' })))
}

/** Whether router advertisements that the interface receives can configure the host. */
export function listensToRouters({ families }: Link): boolean {
  return isOn(confOf(families, AF_INET6, IFLA_INET6_CONF), IPV6_ACCEPT_RA)
}

/** The sysctls that let them. @source Documentation/networking/ip-sysctl.rst */
function trustsOf({ name, families }: Link): readonly string[] {
  const ipv4 = confOf(families, AF_INET, IFLA_INET_CONF)
  const ipv6 = confOf(families, AF_INET6, IFLA_INET6_CONF)
  const trusts: string[] = []
  if (isOn(ipv6, IPV6_ACCEPT_RA)) trusts.push(`ipv6/conf/${name}/accept_ra`)
  if (isOn(ipv6, IPV6_ACCEPT_REDIRECTS)) trusts.push(`ipv6/conf/${name}/accept_redirects`)
  if (isOn(ipv4, IPV4_ACCEPT_REDIRECTS)) trusts.push(`ipv4/conf/${name}/accept_redirects`)
  return trusts
}

/**
 * The values of net.ipv4.conf.<link> or net.ipv6.conf.<link> as the kernel sends them with a link: 32-bit numbers.
 *
 * @param families IFLA_AF_SPEC
 * @returns undefined where the family is not there for the link, and its sysctls neither
 * @source net/ipv4/devinet.c inet_fill_link_af, net/ipv6/addrconf.c inet6_fill_link_af
 */
function confOf(families: Uint8Array | undefined, family: number, conf: number): Uint8Array | undefined {
  const ofFamily = families === undefined ? undefined : attributeOf(families, family)
  return ofFamily === undefined ? undefined : attributeOf(ofFamily, conf)
}

/** The value of the first attribute of that type; undefined when there is none, or they do not add up. */
function attributeOf(bytes: Uint8Array, type: number): Uint8Array | undefined {
  let place = 0
  while (place + NLA_HEADER <= bytes.length) {
    const length = (bytes[place] ?? 0) + (bytes[place + 1] ?? 0) * 256
    if (length < NLA_HEADER || place + length > bytes.length) return undefined
    if (bytes[place + 2] === type) return bytes.subarray(place + NLA_HEADER, place + length)
    place += (length + 3) & ~3
  }
  return undefined
}

/** Whether the number at that place is other than 0; false where there is none. */
function isOn(conf: Uint8Array | undefined, place: number): boolean {
  if (conf === undefined || conf.length < 4 * place + 4) return false
  return new DataView(conf.buffer, conf.byteOffset, conf.byteLength).getUint32(4 * place, true) !== 0
}
