/**
 * The container's side of an attachment: giving an interface its addresses and routes. What makes the interface is each
 * plugin's own business.
 */
import { formatPrefix, type IpPrefix, lastAddress } from '../ip/prefix.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { sleepMilliseconds } from '../sys/stdio.ts'
import type { NewAddress } from './addresses.ts'
import { ensureInterfaceRoutes, type InterfaceSetup, routesOf, withPrefixRoute } from './interface-routes.ts'
import type { Link } from './links.ts'
import type { Net } from './net.ts'
import type { Setting } from './sysctls.ts'

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
  const settings = announcingWhenUp(link.name).slice(0)
  // Before the link is up: an advertisement may follow at once, and what it brought would stay.
  const acceptRa = setup.acceptRouterAdvertisements
  if (acceptRa !== undefined) settings.push({ path: `ipv6/conf/${link.name}/accept_ra`, value: acceptRa ? '1' : '0' })
  net.sysctls.writeIfPresent(settings)
  if (hasIpv6) enableIpv6(net, link.name, detect)
  const routed = withPrefixRoute(setup)
  const addresses = setup.addresses.map(prefix =>
    newAddress(
      prefix,
      setup,
      routed.some(one => one === prefix)
    )
  )
  const routes = routesOf(setup, routed, link.index)
  const isWaiting = hasIpv6 && detect
  const areThere = net.bringUp(link.index, { addresses, alias: setup.alias, routes: isWaiting ? [] : routes })
  if (isWaiting) awaitDetection(net, link)
  if (isWaiting || !areThere) ensureInterfaceRoutes(net, routes)
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
function announcingWhenUp(name: string): readonly Setting[] {
  return [
    { path: `ipv4/conf/${name}/arp_notify`, value: '1' },
    { path: `ipv6/conf/${name}/ndisc_notify`, value: '1' }
  ]
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
  const detection: Setting[] = [{ path: `ipv6/conf/${name}/accept_dad`, value: detect ? '1' : '0' }]
  if (detect) detection.push({ path: `ipv6/conf/${name}/enhanced_dad`, value: '1' })
  net.sysctls.writeIfPresent(detection)
  if (disabled !== '0') net.sysctls.write(`ipv6/conf/${name}/disable_ipv6`, '0')
  if (net.sysctls.read('ipv6/conf/lo/disable_ipv6') === '1') net.sysctls.write('ipv6/conf/lo/disable_ipv6', '0')
  // IPv6 addresses would be gone after `ip link set down` and up again, while IPv4's stay.
  net.sysctls.writeIfPresent([{ path: `ipv6/conf/${name}/keep_addr_on_down`, value: '1' }])
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
