/** What this host wants the registry to have of its endpoints and addresses. */
import type { Attachment } from '../lib/attachment.ts'
import type { AddressOwner } from './endpoint.ts'
import type { LocalStore } from './local-store.ts'
import { addressKey, endpointKey, type OwnRecords } from './registry.ts'
import { endpointValue } from './registry-value.ts'

export function ownRecords(host: string, store: LocalStore): Pick<OwnRecords, 'values' | 'claims'> {
  return {
    values: () => {
      const own = new Map<string, string>()
      for (const one of store.endpoints.values()) own.set(endpointKey(one.tunnel.vni, host, one), endpointValue(one))
      return own
    },
    claims: () => {
      const own = new Map<string, AddressOwner>()
      for (const held of store.addresses.values()) {
        for (const ip of held.ips) own.set(addressKey(held.pool, ip), ownerOf(host, held))
      }
      return own
    }
  }
}

function ownerOf(host: string, one: Attachment): AddressOwner {
  return { host, network: one.network, containerId: one.containerId, ifName: one.ifName }
}
