/**
 * A lease that is no attachment of the network whose addresses it is one of: an address that another network gives out
 * by name, kept from being given away here. As a lease made by hand it stays, whatever the network's own GC is told.
 *
 *     static <network> <containerID> <ifname> <boot id>
 */
import type { Attachment } from '../attachment.ts'

export interface Reservation {
  readonly owner: Attachment
  /** In which it was made; '' when that could not be known. */
  readonly boot: string
}

const KIND = 'static'

/** None of the names holds a blank: lib/cni has judged them. */
export function reservationText({ owner, boot }: Reservation): string {
  return `${KIND} ${owner.network} ${owner.containerId} ${owner.ifName} ${boot}`
}

/** @returns undefined for any other text */
export function readReservation(text: string): Reservation | undefined {
  const words = text.split(' ')
  const [kind, network, containerId, ifName, boot] = words
  if (kind !== KIND || network === undefined || containerId === undefined || ifName === undefined) return undefined
  return words.length > 5 ? undefined : { owner: { network, containerId, ifName }, boot: boot ?? '' }
}
