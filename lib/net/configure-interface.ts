/**
 * The container's side of an attachment: giving an interface its addresses and routes. What makes the interface is each
 * plugin's own business.
 */
import { formatPrefix, type IpPrefix, lastAddress } from '../ip/prefix.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { errnoOf } from '../sys/errors.ts'
import { sleepMilliseconds } from '../sys/stdio.ts'
import type { NewAddress } from './addresses.ts'
import { ensureInterfaceRoutes, type InterfaceSetup, routesOf, withPrefixRoute } from './interface-routes.ts'
import type { Link } from './links.ts'
import type { Net } from './net.ts'

/** Duplicate address detection sends its question once and waits a second; RFC 4862 section 5.1 names the defaults. */
const DETECTION_TIMEOUT_MS = 5000
const DETECTION_POLL_MS = 20

/**
 * Sets an interface up with its addresses and routes.
 *
 * The addresses come before the link is up: the kernel then announces them (gratuitous ARP, unsolicited neighbour
 * advertisement) at the moment the link comes up. Added later they would stay unannounced, and neighbours that
 * remember the address's former owner would send to that one's MAC until their entry expires.
 *
 * Addresses are usable at once, without duplicate address detection, since whoever allocates them sees to it that
 * they are unique.
 *
 * @throws {KernelError} EAFNOSUPPORT for an IPv6 address on a kernel without IPv6, EADDRINUSE for a duplicate,
 *   ENETUNREACH and EEXIST for routes, whatever else the kernel refuses
 */
export function configureInterface(net: Net, link: Link, setup: InterfaceSetup): void {
  const detect = setup.detectDuplicates === true
  const hasIpv6 = setup.addresses.some(prefix => prefix.address.family === 6)
  announceWhenUp(net, link.name)
  if (hasIpv6) enableIpv6(net, link.name, detect)
  // Before the link is up: an advertisement may follow at once, and what it brought would stay.
  const acceptRa = setup.acceptRouterAdvertisements
  if (acceptRa !== undefined) writeIfPresent(net, `ipv6/conf/${link.name}/accept_ra`, acceptRa ? '1' : '0')
  const routed = withPrefixRoute(setup)
  net.addresses.ensure(
    link.index,
    setup.addresses.map(prefix =>
      newAddress(
        prefix,
        setup,
        routed.some(one => one === prefix)
      )
    )
  )
  net.links.set(link.index, { up: true, alias: setup.alias })
  if (hasIpv6 && detect) awaitDetection(net, link)
  ensureInterfaceRoutes(net, routesOf(setup, link.index))
}

function newAddress(prefix: IpPrefix, setup: InterfaceSetup, hasPrefixRoute: boolean): NewAddress {
  const isIpv4 = prefix.address.family === 4
  return {
    prefix,
    // RFC 3021: the addresses of a /31 are both hosts'.
    broadcast: isIpv4 && prefix.length < 31 ? lastAddress(prefix) : undefined,
    noDad: !isIpv4 && setup.detectDuplicates !== true,
    noPrefixRoute: !hasPrefixRoute
  }
}

/**
 * Makes the kernel announce the interface's addresses whenever the interface comes up or changes its MAC.
 *
 * @source linux Documentation/networking/ip-sysctl.rst, arp_notify and ndisc_notify
 */
function announceWhenUp(net: Net, name: string): void {
  writeIfPresent(net, `ipv4/conf/${name}/arp_notify`, '1')
  writeIfPresent(net, `ipv6/conf/${name}/ndisc_notify`, '1')
}

/**
 * Switches IPv6 on for an interface whose namespace has it off, as is the rule where the host has it off, and for
 * `lo`, by way of which a container reaches its own addresses.
 *
 * @param detect whether duplicate address detection is wanted
 * @throws {KernelError} EAFNOSUPPORT when the kernel has no IPv6
 */
export function enableIpv6(net: Net, name: string, detect: boolean): void {
  const disabled = net.sysctls.read(`ipv6/conf/${name}/disable_ipv6`)
  if (disabled === undefined) {
    throw new KernelError('enable IPv6 on', JSON.stringify(name), 'EAFNOSUPPORT', 'the kernel has no IPv6')
  }
  // A link-local address that is still being checked cannot be the source of anything yet.
  writeIfPresent(net, `ipv6/conf/${name}/accept_dad`, detect ? '1' : '0')
  if (detect) writeIfPresent(net, `ipv6/conf/${name}/enhanced_dad`, '1')
  if (disabled !== '0') net.sysctls.write(`ipv6/conf/${name}/disable_ipv6`, '0')
  if (net.sysctls.read('ipv6/conf/lo/disable_ipv6') === '1') net.sysctls.write('ipv6/conf/lo/disable_ipv6', '0')
  // IPv6 addresses would be gone after `ip link set down` and up again, while IPv4's stay.
  writeIfPresent(net, `ipv6/conf/${name}/keep_addr_on_down`, '1')
}

/**
 * Writes a sysctl that makes things better but that nothing depends on: a kernel may lack it, and where /proc/sys is
 * read-only (a runtime in a container) the attachment works without, as with the reference plugins.
 */
export function writeIfPresent(net: Net, path: string, value: string): void {
  try {
    net.sysctls.write(path, value)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno !== 'ENOENT' && errno !== 'EROFS') throw error
  }
}

function awaitDetection(net: Net, link: Link): void {
  for (let waited = 0; ; waited += DETECTION_POLL_MS) {
    const addresses = net.addresses.list(link.index)
    const duplicate = addresses.find(address => address.isDuplicate)
    if (duplicate !== undefined) {
      const object = `${formatPrefix(duplicate.prefix)} to ${JSON.stringify(link.name)}`
      throw new KernelError('add address', object, 'EADDRINUSE', 'another host of this network has it')
    }
    if (!addresses.some(address => address.isTentative) || waited >= DETECTION_TIMEOUT_MS) return
    sleepMilliseconds(DETECTION_POLL_MS)
  }
}

/** Sysctls by which the neighbours of an interface configure the host. @source Documentation/networking/ip-sysctl.rst */
function trustsOf(name: string): readonly string[] {
  return [`ipv6/conf/${name}/accept_ra`, `ipv6/conf/${name}/accept_redirects`, `ipv4/conf/${name}/accept_redirects`]
}

/**
 * For an interface of the host that faces containers, before it is up: one router advertisement of a container would give
 * the host a default route through that container, and a redirect a route to whatever it names (CVE-2020-10749). A host
 * that forwards and has `accept_ra` 2 is no exception, since a new interface begins with that.
 */
export function distrustNeighbours(host: Net, name: string): void {
  for (const path of trustsOf(name)) {
    const current = host.sysctls.read(path)
    if (current !== undefined && current !== '0') writeIfPresent(host, path, '0')
  }
}

/** Whether router advertisements that the interface receives can configure the host. */
export function listensToRouters(host: Net, name: string): boolean {
  const current = host.sysctls.read(`ipv6/conf/${name}/accept_ra`)
  return current !== undefined && current !== '0'
}
