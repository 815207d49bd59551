/** Which part of the host a container belongs to, as far as isolation goes: its bridge. */
import type { Result } from '../../lib/cni/result.ts'
import { addressesEqual, type IpAddress } from '../../lib/ip/address.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'

/** The container's place. */
export interface Domain {
  /** The interfaces that its packets come to the host by: the bridge, the gateway of a VLAN on it, or a veth alone. */
  readonly interfaces: readonly string[]
  /** The container's own port of the bridge; undefined without a bridge. */
  readonly port: string | undefined
  /** The bridge, when containers of other hosts are on it by way of a tunnel. */
  readonly overlay: string | undefined
}

/**
 * Looks at the host's interfaces in the result. The first one is the bridge by custom only: what is a bridge or a port
 * of one, the kernel knows.
 */
export function domainOf(host: Net, result: Result): Domain {
  const interfaces: string[] = []
  let port: string | undefined
  let overlay: string | undefined
  for (const one of result.interfaces) {
    if ((one.sandbox ?? '') !== '') continue
    const link = host.links.find(one.name)
    if (link === undefined) continue
    const bridge = bridgeAbove(host, link)
    if (bridge !== undefined) port = link.name
    if (bridge !== undefined && link.kind === 'vxlan') overlay = bridge
    const name = bridge ?? link.name
    if (!interfaces.some(other => other === name)) interfaces.push(name)
  }
  return { interfaces, port, overlay }
}

function bridgeAbove(host: Net, link: Link): string | undefined {
  if (link.masterIndex === undefined) return undefined
  const master = host.links.findByIndex(link.masterIndex)
  return master?.kind === 'bridge' ? master.name : undefined
}

/**
 * Every address of the result, as the reference has it, on whichever interface: one that is left out would be neither let
 * through nor protected, and nobody would be told.
 */
export function addressesOf(result: Result): readonly IpAddress[] {
  const addresses: IpAddress[] = []
  for (const { address } of result.ips) {
    if (!addresses.some(one => addressesEqual(one, address.address))) addresses.push(address.address)
  }
  return addresses
}
