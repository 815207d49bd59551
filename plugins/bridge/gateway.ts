/** The interface that carries the gateway's address: the bridge itself, or one in the port's VLAN. */
import { createHash } from 'node:crypto'
import { ignoreRouterAdvertisements } from '../../lib/attach/bridge-device.ts'
import { ensureGatewayAddresses } from '../../lib/attach/gateway.ts'
import type { IpConfig } from '../../lib/cni/result.ts'
import { hex } from '../../lib/ip/mac.ts'
import type { Link, LinkKind } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type BridgeConfig, gatewayName } from './config.ts'

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
 */
function ensureVlanInterface(host: Net, bridge: Link, config: BridgeConfig): Link {
  const name = gatewayName(config)
  const existing = host.links.find(name)
  if (existing !== undefined) return existing
  // The name's own 15 bytes are taken by bridge and VLAN: the port is called by its hash.
  const portName = `vgw${hex(createHash('sha256').update(name).digest()).slice(0, 8)}`
  try {
    const kind: LinkKind = { kind: 'veth', peer: { name, mtu: config.mtu } }
    const port = host.links.add({ name: portName, kind, mtu: config.mtu, masterIndex: bridge.index, up: true })
    for (const vlan of host.vlans.list(port.index)) host.vlans.remove(port.index, vlan)
    host.vlans.add(port.index, [{ vid: config.vlan, pvid: true, untagged: true }])
    ignoreRouterAdvertisements(host, name)
    host.links.set(host.links.get(name).index, { up: true })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  return host.links.get(name)
}
