/** A container's resolver, made here and handed to the agent, which need not be waited for. */
import type { Session } from '../../lib/attach/session.ts'
import type { NameRecord } from '../../lib/names/record.ts'
import { ResolverSockets, type SocketTaker } from '../../lib/names/resolver-sockets.ts'
import { removeTranslation, translate, USUAL_PORTS } from '../../lib/names/translation.ts'
import type { Net } from '../../lib/net/net.ts'
import { SysError } from '../../lib/sys/errors.ts'

/**
 * Listens in the container, has port 53 lead there, and hands the sockets over. Nothing of it fails an ADD: what cannot be done
 * here the agent does when it is asked.
 *
 * @returns false where it has to be: for another of the container's networks it listens already, somebody else has the ports,
 *   the kernel has no nf_tables, too many others wait
 */
export function handOver(session: Session, taker: SocketTaker, { netns, netnsId }: NameRecord): boolean {
  const { network, containerId, ifName } = session.request
  const container = session.container()
  try {
    const sockets = new ResolverSockets(container.namespaceFd())
    try {
      leadQuestions(session, container)
      sockets.handTo(taker, { network, containerId, ifName, netns, netnsId })
    } finally {
      sockets.close()
    }
    return true
  } catch (error) {
    if (error instanceof SysError) return false
    throw error
  }
}

function leadQuestions(session: Session, container: Net): void {
  const nft = session.nftOf(container)
  try {
    translate(nft, USUAL_PORTS, undefined)
    session.undo.push('rules of the resolver', () => leadNowhere(session, session.container()))
  } finally {
    nft.close()
  }
}

/** Takes away the rules by which port 53 leads to the resolver. */
export function leadNowhere(session: Session, container: Net): void {
  const nft = session.nftOf(container)
  try {
    removeTranslation(nft)
  } finally {
    nft.close()
  }
}
