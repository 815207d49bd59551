/**
 * Links on top of another one, the master: macvlan, ipvlan, vlan. Which kind, and what its refusals mean, is theirs.
 *
 *     host                  container
 *       eth1 (master) ====== eth0
 */
import type { Request } from '../cni/plugin.ts'
import type { Link, LinkKind } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { asError } from '../sys/errors.ts'
import type { AttachmentOptions } from './interface.ts'
import { getParent, type ParentConfig, parentProblems, requireParent } from './parent.ts'
import { type SingleLink, takenName } from './single-link.ts'

export interface StackedLink {
  readonly parent: ParentConfig
  /** Whether ADD may be told the master by a plugin earlier in the chain, so that STATUS cannot ask for it. */
  readonly mayGetParent: boolean
  /** The kernel chooses when absent. */
  readonly mac: Uint8Array | undefined
  readonly adoptsAddresses: boolean
  readonly options: AttachmentOptions
  readonly kindOn: (parent: Link) => LinkKind
  /** What a refusal to make it means, where the kernel says no more than EINVAL or EBUSY; the error itself else. */
  readonly explained: (error: KernelError, parent: Link) => Error
  /** CHECK: how the link differs from the configuration in what it is, not where. */
  readonly differences: (link: Link) => readonly string[]
}

export function stackedLink(request: Request, way: StackedLink): SingleLink {
  return {
    make: (host, container) => addStacked(host, container, request, way),
    adoptsAddresses: way.adoptsAddresses,
    options: way.options,
    differences: (link, host, container) => {
      const below = way.parent.isInContainer ? container : host
      return way.differences(link).concat(parentProblems(link, container, below, getParent(below, way.parent)))
    },
    requireUsable: host => {
      if (!way.mayGetParent) requireParent(host, way.parent)
    }
  }
}

/**
 * Made in the container and under its name by one request: there is never a link with a temporary name that a kill could
 * leave on the host.
 */
function addStacked(host: Net, container: Net, request: Request, way: StackedLink): Link {
  const below = way.parent.isInContainer ? container : host
  const parent = getParent(below, way.parent)
  try {
    const { mtu } = way.parent
    below.links.addIn(container, { name: request.ifName, kind: way.kindOn(parent), mtu, mac: way.mac })
    return container.links.get(request.ifName)
  } catch (error) {
    const known = asError(error)
    if (!(known instanceof KernelError)) throw known
    const isTaken = known.errno === 'EEXIST' && container.links.find(request.ifName) !== undefined
    throw isTaken ? takenName(request) : way.explained(known, parent)
  }
}
