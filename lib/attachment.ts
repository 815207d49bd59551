/** One interface of one container on one network, and how the kernel's tables name it. */
import { createHash } from 'node:crypto'
import { consistsOf, isDigit, isLetter } from './bytes/characters.ts'

/** What every call of the protocol is about: CNI spec, section 2, "Attachment". */
export interface Attachment {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

/** Whether `text` can be a container id or the name of a network: file names are made of both. */
export function isName(text: string): boolean {
  const first = text.charCodeAt(0)
  return (isLetter(first) || isDigit(first)) && consistsOf(text, isNameByte)
}

function isNameByte(byte: number): boolean {
  // "_", ".", "-"
  return isLetter(byte) || isDigit(byte) || byte === 0x5f || byte === 0x2e || byte === 0x2d
}

export function isSameAttachment(a: Attachment, b: Attachment): boolean {
  return a.network === b.network && a.containerId === b.containerId && a.ifName === b.ifName
}

/** Whether the attachment is in the list. */
export function isAttachmentIn(attachment: Attachment, list: readonly Attachment[]): boolean {
  return list.some(one => isSameAttachment(one, attachment))
}

const NETWORK_LIMIT = 38
/** nerdctl's identifiers have 72 characters: `default-` and a hash of 64. */
const CONTAINER_LIMIT = 72
const HASH_DIGITS = 32

/**
 * Whose an element of nf_tables is, in its comment: `<network> <containerID> <ifname>`. nft refuses to read back comments of
 * more than 127 characters, so names too long for that are replaced by a hash of theirs.
 */
export function ownerText(owner: Attachment): string {
  return `${ownerNetwork(owner.network)} ${shortened(owner.containerId, CONTAINER_LIMIT)} ${owner.ifName}`
}

/** What the comments of all elements of a network begin with. */
function ownerNetwork(network: string): string {
  return shortened(network, NETWORK_LIMIT)
}

/** Whether a comment names an attachment of this network. */
export function isOfNetwork(comment: string, network: string): boolean {
  return comment.startsWith(`${ownerNetwork(network)} `)
}

/** Whether two comments are of one container, but not of one interface of it. */
export function isOtherInterface(a: string, b: string): boolean {
  return a !== b && a.split(' ')[1] === b.split(' ')[1]
}

function shortened(name: string, limit: number): string {
  if (name.length <= limit) return name
  const hash = createHash('sha256').update(name).digest('hex')
  return `#${hash.slice(0, HASH_DIGITS)}`
}
