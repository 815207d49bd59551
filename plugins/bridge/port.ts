/** What a port of the bridge has of its own: hairpin, isolation, VLANs. */
import { ignoreRouterAdvertisements } from '../../lib/attach/bridge-device.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import type { BridgeVlan } from '../../lib/net/vlans.ts'
import { type BridgeConfig, needsVlanFiltering } from './config.ts'

/** Sets what a port has of its own: hairpin, isolation, VLANs. */
export function configurePort(host: Net, port: Link, config: BridgeConfig): void {
  ignoreRouterAdvertisements(host, port.name)
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
