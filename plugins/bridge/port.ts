/** The container's place on the bridge: a veth pair, one end a port of the bridge, the other the container's interface. */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { errnoOf } from '../../lib/net/errors.ts'
import type { BridgeVlan, Link, Net, NewLink, VethKind } from '../../lib/net/net.ts'
import { type BridgeConfig, needsVlanFiltering } from './config.ts'
import { ignoreRouterAdvertisements } from './device.ts'
import { hostEndName } from './owned.ts'

/**
 * Makes the veth pair in one request: both ends, their names, sizes and namespaces, or nothing.
 *
 * The container's end stays down until its sysctls are set: IPv6 starts duplicate address detection on its
 * link-local address at the moment the interface comes up.
 *
 * @throws {CniError} code 7 when the container has an interface of that name
 */
export function addVeth(
  host: Net,
  container: Net,
  request: Request,
  bridge: Link,
  config: BridgeConfig,
  mac: Uint8Array | undefined
): Link {
  const name = hostEndName(request)
  const kind: VethKind = { kind: 'veth', peer: { name: request.ifName, netns: container, mtu: config.mtu, mac } }
  const link: NewLink = { name, kind, mtu: config.mtu, masterIndex: bridge.index, up: true }
  try {
    return host.addLink(link)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    if (container.findLink(request.ifName) !== undefined) throw interfaceExists(request)
    // An ADD that was killed left the pair, and its container is another one by now or has lost its end.
    host.removeLink(name)
    return host.addLink(link)
  }
}

/**
 * Before anything is taken for the attachment: a second ADD would otherwise lease what the first one holds, fail at
 * the interface, and give the first one's address back while it is in use.
 *
 * @throws {CniError} code 7 when the container has an interface of that name
 */
export function refuseExisting(container: Net, request: Request): void {
  if (container.findLink(request.ifName) !== undefined) throw interfaceExists(request)
}

function interfaceExists(request: Request): CniError {
  return new CniError(
    INVALID_CONFIG,
    `add link ${JSON.stringify(request.ifName)}: the container has an interface of this name`,
    'attach under another CNI_IFNAME, or DEL the old attachment first'
  )
}

/** Sets what a port has of its own: hairpin, isolation, VLANs. */
export function configurePort(host: Net, port: Link, config: BridgeConfig): void {
  ignoreRouterAdvertisements(host, port.name)
  if (config.hairpinMode || config.portIsolation) {
    host.setBridgePort(port.index, {
      hairpin: config.hairpinMode ? true : undefined,
      isolated: config.portIsolation ? true : undefined
    })
  }
  if (!needsVlanFiltering(config)) return
  if (!config.preserveDefaultVlan) {
    for (const vlan of host.listBridgeVlans(port.index)) host.removeBridgeVlan(port.index, vlan)
  }
  host.addBridgeVlans(port.index, wantedVlans(config))
}

/**
 * The VLANs of the port: the untagged one, and the trunk.
 *
 * A trunk without an untagged VLAN keeps VLAN 1 as its native one, as the reference plugin leaves it.
 */
export function wantedVlans(config: BridgeConfig): readonly BridgeVlan[] {
  const vlans: BridgeVlan[] = []
  const native = config.vlan !== 0 ? config.vlan : 1
  vlans.push({ vid: native, pvid: true, untagged: true })
  for (const range of config.vlanTrunk) {
    if (range.first === range.last && range.first === native) continue
    vlans.push(...trunkWithout(range.first, range.last, native))
  }
  return vlans
}

/** A range on the port would turn its native VLAN into a tagged one: leave it out. */
function trunkWithout(first: number, last: number, native: number): readonly BridgeVlan[] {
  if (native < first || native > last) return [{ vid: first, lastVid: last }]
  const parts: BridgeVlan[] = []
  if (first < native) parts.push({ vid: first, lastVid: native - 1 })
  if (native < last) parts.push({ vid: native + 1, lastVid: last })
  return parts
}
