/**
 * Spoof check: a bridge port may send frames with its container's MAC and no other.
 *
 *     table bridge patchbay-spoof-check {
 *       map ports { type ifname : verdict; elements = { "veth1" comment "net id eth0" : goto check } }
 *       set allowed { type ifname . ether_addr; elements = { "veth1" . 02:00:00:00:00:01 comment "net id eth0" } }
 *       chain prerouting { type filter hook prerouting priority -300; iifname vmap @ports }
 *       chain check { iifname . ether saddr != @allowed drop }
 *     }
 */

import { type Attachment, isOfNetwork, ownerText } from '../attachment.ts'
import { formatMac } from '../ip/mac.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  addMembers,
  type FoundMember,
  type Group,
  type GroupTable,
  type Member,
  nothingMore,
  removeMembers
} from './groups.ts'
import { concatenate, gotoElement, keyElement, type Nft, type NftBatch, type NftElement, nameField } from './nft.ts'
import { matchSet, rule, verdict, verdictFrom } from './rule.ts'

const FAMILY = 'bridge'
const NAME = 'patchbay-spoof-check'
const PORTS = 'ports'
const ALLOWED = 'allowed'
const CHECK = 'check'
/** Before everything else that looks at frames: linux/netfilter_bridge.h NF_BR_PRI_NAT_DST_BRIDGED. */
const PRIORITY = -300

/** The host's end of a container's veth pair, and the MAC of the container's end. */
export interface CheckedPort {
  readonly name: string
  readonly mac: Uint8Array
}

/** Drops what comes from the port with another source than its MAC. What is there for this port is replaced. */
export function ensureSpoofCheck(nft: Nft, owner: Attachment, port: CheckedPort): void {
  const comment = ownerText(owner)
  if (isChecked(nft, port, comment)) return
  // A port's name is random: an element that has it is left over from an interface that is gone.
  if (findPort(nft, port.name, undefined).length > 0) removeMembers(nft, () => findPort(nft, port.name, undefined))
  addMembers(nft, [memberOf(port, comment)])
}

/** Whether no port is checked: nobody has needed it, or somebody has taken the rules away. */
export function isSpoofCheckMissing(nft: Nft): boolean {
  return nft.findTable(FAMILY, NAME) === undefined
}

/**
 * Lifts it.
 *
 * @param port the port's name, as the journal has it; undefined looks for the owner in the whole table
 * @returns false when there was nothing, which costs no transaction
 */
export function removeSpoofCheck(nft: Nft, owner: Attachment, port: string | undefined): boolean {
  const comment = ownerText(owner)
  if (port !== undefined) return removeMembers(nft, () => findPort(nft, port, comment))
  return removeMembers(nft, () => findAll(nft, one => one === comment))
}

/** @throws {KernelError} ENOENT when the port is not checked, or for another MAC */
export function checkSpoofCheck(nft: Nft, owner: Attachment, port: CheckedPort): void {
  const isWhole =
    nft.listRules(FAMILY, NAME, CHECK).length === 1 && nft.listRules(FAMILY, NAME, 'prerouting').length === 1
  if (isWhole && isChecked(nft, port, ownerText(owner))) return
  const object = `${JSON.stringify(port.name)} ${formatMac(port.mac)}`
  throw new KernelError('find spoof check', object, 'ENOENT', 'no rule for it')
}

/**
 * Removes what belongs to the network and to no attachment that `isValid` knows.
 *
 * @param isValid asked with the text of an owner, `ownerText`
 */
export function collectSpoofChecks(nft: Nft, network: string, isValid: (ownerText: string) => boolean): boolean {
  return removeMembers(nft, () => findAll(nft, comment => isOfNetwork(comment, network) && !isValid(comment)))
}

function isChecked(nft: Nft, port: CheckedPort, comment: string): boolean {
  const element = nft.findElement(FAMILY, NAME, PORTS, nameField(port.name))
  const allowed = nft.findElement(FAMILY, NAME, ALLOWED, allowedKey(port))
  return element?.comment === comment && allowed?.comment === comment
}

function findPort(nft: Nft, port: string, comment: string | undefined): readonly FoundMember[] {
  const element = nft.findElement(FAMILY, NAME, PORTS, nameField(port))
  if (element === undefined || (comment !== undefined && element.comment !== comment)) return []
  return [foundMember(nft, element)]
}

function findAll(nft: Nft, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  const ports = nft.listElements(FAMILY, NAME, PORTS).filter(element => isWanted(element.comment))
  return ports.map(element => foundMember(nft, element))
}

function allowedKey(port: CheckedPort): Uint8Array {
  return concatenate([nameField(port.name), port.mac])
}

function memberOf(port: CheckedPort, comment: string): Member {
  return {
    table: TABLE,
    group: ownGroup(),
    element: gotoElement(nameField(port.name), CHECK, comment),
    addMore: (batch: NftBatch): void => {
      batch.addElements(FAMILY, NAME, ALLOWED, [keyElement(allowedKey(port), comment)])
    }
  }
}

function foundMember(nft: Nft, element: NftElement): FoundMember {
  const allowed = nft.listElements(FAMILY, NAME, ALLOWED).filter(one => startsWith(one.key, element.key))
  return {
    table: TABLE,
    group: ownGroup(),
    element,
    removeMore: (batch: NftBatch): void => {
      batch.removeElements(FAMILY, NAME, ALLOWED, allowed)
    }
  }
}

function startsWith(key: Uint8Array, beginning: Uint8Array): boolean {
  for (let i = 0; i < beginning.length; i += 1) if (key[i] !== beginning[i]) return false
  return true
}

const TABLE: GroupTable = { family: FAMILY, table: NAME, map: PORTS, baseUse: 3, addBase }

/** No constant: that would be made at the start of every plugin. */
function ownGroup(): Group {
  return {
    chain: CHECK,
    // iifname . ether saddr != @allowed drop
    rules: [rule([matchSet(FAMILY, ['iifname', 'ether saddr'], ALLOWED, true), verdict('drop')])],
    addMore: nothingMore,
    removeMore: nothingMore
  }
}

function addBase(batch: NftBatch): void {
  batch.addSet(FAMILY, NAME, { name: PORTS, key: ['ifname'], data: [], isInterval: false })
  batch.addSet(FAMILY, NAME, { name: ALLOWED, key: ['ifname', 'ether_addr'], data: undefined, isInterval: false })
  const hook = { type: 'filter', hook: 'prerouting', priority: PRIORITY, policy: undefined } as const
  batch.addChain(FAMILY, NAME, 'prerouting', hook)
  // iifname vmap @ports
  batch.addRule(FAMILY, NAME, 'prerouting', verdictFrom(FAMILY, ['iifname'], PORTS))
}
