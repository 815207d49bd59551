/**
 * Links on top of another one, the master: macvlan, ipvlan, vlan. Which kind, and what its refusals mean, is theirs.
 *
 *     host                  container
 *       eth1 (master) ====== eth0
 */
import type { Link, LinkKind } from '../net/links.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { asError } from '../sys/errors.ts'
import { hasInterface, takenName } from './attachment.ts'
import type { AttachmentOptions } from './interface.ts'
import type { OwnLink } from './interface-plugin.ts'
import { getParent, type ParentConfig, parentProblems, requireParent } from './parent.ts'
import type { Session } from './session.ts'
import { canBeMade, ensureMaster } from './vlan-master.ts'

export interface ChildLink {
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

export function childLink(child: ChildLink): OwnLink {
  return {
    make: session => addChild(session, child),
    adoptsAddresses: child.adoptsAddresses,
    options: child.options,
    differences: (link, session) => {
      const container = session.container()
      const below = child.parent.isInContainer ? container : session.host
      return child.differences(link).concat(parentProblems(link, container, below, getParent(below, child.parent)))
    },
    requireUsable: session => {
      if (!child.mayGetParent && !canBeMade(session.host, child.parent)) requireParent(session.host, child.parent)
    }
  }
}

/**
 * Made in the container and under its name by one request: there is never a link with a temporary name that a kill could
 * leave on the host.
 */
function addChild(session: Session, child: ChildLink): Link {
  const container = session.container()
  const below = child.parent.isInContainer ? container : session.host
  ensureMaster(below, child.parent)
  const parent = getParent(below, child.parent)
  const { request } = session
  try {
    const { mtu } = child.parent
    below.links.addIn(container, { name: request.ifName, kind: child.kindOn(parent), mtu, mac: child.mac })
    return container.links.get(request.ifName)
  } catch (error) {
    const known = asError(error)
    if (!(known instanceof KernelError)) throw known
    const isTaken = known.errno === 'EEXIST' && hasInterface(session)
    throw isTaken ? takenName(request) : child.explained(known, parent)
  }
}
