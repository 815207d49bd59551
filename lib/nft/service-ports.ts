/**
 * What the agent has on the host for published ports of services (agent/services), as far as the plugin portmap has to know
 * of it: which ports are taken, and which interfaces are open for 127.0.0.1.
 */
import { type Nft, type NftElement, nameField } from './nft.ts'

export const PUBLISHED_TABLE = 'patchbay-published'
/** Ports that lead somewhere: a map with `inet_proto . inet_service` as its key. */
export const PUBLISHED_PORTS = 'services'
/** Ports of services without members: a set with the same key. */
export const REFUSED_PORTS = 'empty'

export const OPENED_TABLE = 'patchbay-opened'
/** Interfaces whose `route_localnet` services need. */
export const OPENED_LINKS = 'links'

/** Whether services need the interface open for 127.0.0.1. */
export function isOpenForServices(nft: Nft, link: string): boolean {
  return openedLink(nft, link) !== undefined
}

export function openedLink(nft: Nft, link: string): NftElement | undefined {
  return nft.findElement('ip', OPENED_TABLE, OPENED_LINKS, nameField(link))
}
