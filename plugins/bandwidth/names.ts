/** Names of ifb links. */
import type { Attachment } from '../../lib/attachment.ts'
import { sha512Hex } from '../../lib/hash/sha512.ts'

const LONGEST = 15

/** The name that the reference plugin gives the ifb of a container on a network, whichever of its interfaces it is for. */
export function referenceIfbName({ network, containerId }: Attachment): string {
  return `bwp${sha512Hex(network + containerId)}`.slice(0, LONGEST)
}

/** A name of its own for each interface, for where the reference's is taken by another one of the same container. */
export function ownIfbName({ network, containerId, ifName }: Attachment): string {
  return `bwp${sha512Hex(`${network} ${containerId} ${ifName}`)}`.slice(0, LONGEST)
}
