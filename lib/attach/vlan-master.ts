/**
 * `createMaster`: a master that is a VLAN of one of the host's interfaces and made when it is not there.
 *
 *     eth0.10 = VLAN 10 of eth0
 *
 * It stays when its containers go, an ADD that fails included: others may sit on it already, and would go with it. Who removes
 * the network removes it.
 */

import { ifNameFault } from '../cni/env.ts'
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Section } from '../config/section.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { distrustNeighbours } from '../net/trust.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { asError } from '../sys/errors.ts'
import type { ParentConfig } from './parent.ts'

export interface VlanName {
  /** The interface that carries it. */
  readonly trunk: string
  readonly id: number
}

/** @source IEEE 802.1Q, table 9-2: 0 is no VLAN, 4095 is reserved */
const LARGEST_VLAN_ID = 4094

/** The group of links that ours are made in, by which they are told apart. The letters "pbvl". @source linux/if_link.h IFLA_GROUP */
const MASTER_GROUP = 0x7062766c

/** `eth0.10`; undefined for a name that tells no VLAN. */
export function vlanOfName(name: string): VlanName | undefined {
  const dot = name.lastIndexOf('.')
  const digits = name.slice(dot + 1)
  const id = /^[1-9][0-9]{0,3}$/.test(digits) ? Number(digits) : 0
  if (dot <= 0 || id === 0 || id > LARGEST_VLAN_ID || ifNameFault(name) !== '') return undefined
  return { trunk: name.slice(0, dot), id }
}

/** Whether it was made here. */
export function isOwnMaster(link: Link): boolean {
  return link.kind === 'vlan' && link.groupId === MASTER_GROUP
}

/** Reads `createMaster`. */
export function withCreatedMaster(config: Section, parent: ParentConfig): ParentConfig {
  const isCreated = config.boolean('createMaster', false)
  const isVlan = parent.master !== undefined && vlanOfName(parent.master) !== undefined
  if (isCreated && (!isVlan || parent.isInContainer))
    config.problem('createMaster', 'needs a master of the host that is a VLAN by its name, as in "eth0.10"')
  return { master: parent.master, isInContainer: parent.isInContainer, mtu: parent.mtu, isCreated }
}

/** Whether an ADD would make it. */
export function canBeMade(net: Net, config: ParentConfig): boolean {
  const vlan = config.isCreated ? vlanOfName(config.master ?? '') : undefined
  return vlan !== undefined && net.links.find(vlan.trunk) !== undefined
}

/**
 * Makes the master if it is to be made and is not there. It is the containers' and their network's: the host believes nobody there
 * who says that he is a router.
 *
 * @throws CniError code 7 when it cannot be made
 */
export function ensureMaster(net: Net, config: ParentConfig): void {
  const name = config.master ?? ''
  const vlan = config.isCreated ? vlanOfName(name) : undefined
  if (vlan === undefined) return
  const present = net.links.find(name)
  if (present !== undefined) {
    // Down is one that an ADD made which was killed.
    if (isOwnMaster(present) && !present.isUp) open(net, present, vlan)
    return
  }
  const trunk = net.links.find(vlan.trunk)
  if (trunk === undefined) {
    const message = `make master ${JSON.stringify(name)}: there is no link ${JSON.stringify(vlan.trunk)} on the host`
    throw new CniError(INVALID_CONFIG, message, 'correct the key "master"')
  }
  const made = make(net, name, { trunk, id: vlan.id })
  try {
    open(net, made, vlan)
  } catch (error) {
    net.links.removeByIndex(made.index)
    throw asError(error)
  }
}

function make(net: Net, name: string, { trunk, id }: { readonly trunk: Link; readonly id: number }): Link {
  try {
    return net.links.add({ name, kind: { kind: 'vlan', parentIndex: trunk.index, id }, groupId: MASTER_GROUP })
  } catch (error) {
    const known = asError(error)
    const there = known instanceof KernelError && known.errno === 'EEXIST' ? net.links.find(name) : undefined
    // Two containers are the network's first.
    if (there !== undefined) return there
    throw known instanceof KernelError ? refused(known, name, { trunk: trunk.name, id }) : known
  }
}

function open(net: Net, link: Link, vlan: VlanName): void {
  try {
    distrustNeighbours(net, link)
    net.links.set(link.index, { up: true })
  } catch (error) {
    const known = asError(error)
    throw known instanceof KernelError ? refused(known, link.name, vlan) : known
  }
}

function refused(error: KernelError, name: string, { trunk, id }: VlanName): Error {
  const why =
    error.errno === 'EEXIST'
      ? `VLAN ${String(id)} of ${JSON.stringify(trunk)} is there under another name`
      : error.errno === 'ENETDOWN'
        ? `${JSON.stringify(trunk)} is down`
        : ''
  if (why === '') return error
  return new CniError(INVALID_CONFIG, `make master ${JSON.stringify(name)}: ${why}`, 'correct it, or the key "master"')
}
