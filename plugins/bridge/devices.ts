/** What bridge has on the host: the bridge, the interface that carries the gateway's address, and a container's port. */

import { hashedName } from '../../lib/attach/attachment.ts'
import { ensureBridgeDevice } from '../../lib/attach/bridge-device.ts'
import { ensureGatewayAddresses } from '../../lib/attach/gateway.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { IpConfig } from '../../lib/cni/result.ts'
import { stableMac } from '../../lib/ip/mac.ts'
import type { Link, LinkKind } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { distrustNeighbours } from '../../lib/net/trust.ts'
import type { BridgeVlan } from '../../lib/net/vlans.ts'
import { machineId } from '../../lib/state/machine.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type BridgeConfig, gatewayName, needsVlanFiltering } from './config.ts'

/**
 * Makes the bridge, or brings the one that is there in line with the configuration. Its MAC address follows from the
 * machine's id and its own name. It stays when its last container goes, unless that is asked for (unused.ts).
 *
 * @throws {CniError} code 7 when an interface that is no bridge has the name
 */
export function ensureBridge(host: Net, config: BridgeConfig): Link {
  return ensureBridgeDevice(host, {
    name: config.bridge,
    mac: bridgeMac(config.bridge),
    mtu: config.mtu,
    vlanFiltering: needsVlanFiltering(config),
    promiscuous: config.promiscMode,
    groupId: 0,
    made: () => undefined
  })
}

/** The MAC address that a bridge of this name gets from us at birth, and no other has. */
export function bridgeMac(name: string): Uint8Array {
  return stableMac(`bridge ${machineId()} ${name}`)
}

/**
 * Puts the gateway addresses of `ips` on the gateway interface and lets the host forward between networks.
 *
 * @returns the gateway interface: the bridge, or the one in the VLAN
 */
export function ensureGateway(host: Net, bridge: Link, ips: readonly IpConfig[], config: BridgeConfig): Link {
  const link = config.vlan === 0 ? bridge : ensureVlanInterface(host, bridge, config)
  ensureGatewayAddresses(host, link, ips, config.forceAddress)
  return link
}

/**
 * A veth pair inside the host: one end a port of the bridge in the VLAN, the other the gateway interface.
 *
 * The bridge's own interface cannot do it: it takes part in its default VLAN only.
 *
 * @throws {CniError} code 7 when an interface that cannot be one has its name
 */
function ensureVlanInterface(host: Net, bridge: Link, config: BridgeConfig): Link {
  const name = gatewayName(config)
  const existing = host.links.find(name)
  if (existing !== undefined) return usableGateway(existing)
  const portName = gatewayPortName(name)
  try {
    const kind: LinkKind = { kind: 'veth', peer: { name, mtu: config.mtu } }
    const port = host.links.add({ name: portName, kind, mtu: config.mtu, masterIndex: bridge.index, up: true })
    for (const vlan of host.vlans.list(port.index)) host.vlans.remove(port.index, vlan)
    host.vlans.add(port.index, [{ vid: config.vlan, pvid: true, untagged: true }])
    const gateway = host.links.get(name)
    distrustNeighbours(host, gateway)
    host.links.set(gateway.index, { up: true })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  return usableGateway(host.links.get(name))
}

/** `vgw` and eight digits of the hash. */
const VGW_NAME = 11

/** The other end of a VLAN's gateway interface. That one's 15 bytes are taken by bridge and VLAN: its hash it is. */
export function gatewayPortName(gateway: string): string {
  return hashedName('vgw', gateway).slice(0, VGW_NAME)
}

/** Ours, the reference's or an administrator's: an end of a veth pair or a VLAN of the bridge. */
function usableGateway(link: Link): Link {
  if (link.kind === 'veth' || link.kind === 'vlan') return link
  const message = `use gateway interface ${JSON.stringify(link.name)}: an interface of kind ${JSON.stringify(link.kind ?? 'device')} has this name`
  throw new CniError(INVALID_CONFIG, message, 'rename or remove that interface, or use another bridge or VLAN')
}

/** Sets what a port has of its own: hairpin, isolation, VLANs. */
export function configurePort(host: Net, port: Link, config: BridgeConfig): void {
  distrustNeighbours(host, port)
  if (config.hairpinMode || config.portIsolation) {
    host.links.setPort(port.index, {
      hairpin: config.hairpinMode ? true : undefined,
      isolated: config.portIsolation ? true : undefined
    })
  }
  if (!needsVlanFiltering(config)) return
  if (!config.preserveDefaultVlan) {
    for (const vlan of host.vlans.list(port.index)) host.vlans.remove(port.index, vlan)
  }
  host.vlans.add(port.index, wantedVlans(config))
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
