/** A tunnel whose underlay has changed: another address, another MTU. */
import { CniError } from '../cni/error.ts'
import { addressesEqual } from '../ip/address.ts'
import type { Net } from '../net/net.ts'
import { overheadOf, type Tunnel } from './tunnel.ts'
import { findUnderlay, type Underlay } from './underlay.ts'

/** The tunnel as it has to be now; the same object when nothing has changed, or while there is no underlay. */
export function followUnderlay(host: Net, tunnel: Tunnel): Tunnel {
  // While an address is being replaced, the default route may be gone for a moment: then the link alone tells.
  const found = underlayAt(host, tunnel, tunnel.dev) ?? underlayAt(host, tunnel, tunnel.follows.link)
  if (found === undefined) return tunnel
  const local = tunnel.follows.address ? found.local : tunnel.local
  const mtu = tunnel.follows.mtu ? found.link.mtu - overheadOf(local) : tunnel.mtu
  const { follows } = tunnel
  if (addressesEqual(local, tunnel.local) && mtu === tunnel.mtu && found.link.name === follows.link) return tunnel
  return { ...tunnel, local, mtu, follows: { ...follows, link: found.link.name } }
}

function underlayAt(host: Net, tunnel: Tunnel, dev: string): Underlay | undefined {
  const local = tunnel.follows.address ? undefined : tunnel.local
  try {
    return findUnderlay(host, { dev, local, peers: [], group: undefined, family: tunnel.local.family })
  } catch (error) {
    if (error instanceof CniError) return undefined
    throw error
  }
}
