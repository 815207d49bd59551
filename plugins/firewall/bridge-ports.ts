/**
 * Isolation of ports of one bridge, where frames go from port to port without passing the tables for IP:
 *
 *     table bridge patchbay-firewall {
 *       map ports { type ifname : verdict; elements = { "veth1" comment "net id eth0" : goto isolated } }
 *       set members { type ifname; elements = { "veth1" comment "net id eth0" } }
 *       chain forward { type filter hook forward priority -200; iifname vmap @ports }
 *       chain isolated { meta mark & 0x800 == 0x800 accept; oifname @members drop }
 *     }
 *
 * Not the bridge's own port isolation: with br_netfilter a packet to a published port is bridged to the container after
 * its translation, and that flag would drop it. Such packets bear the mark that table ip sets (nftables.ts).
 */

import { type FoundMember, type Group, type GroupTable, type Member, nothingMore } from '../../lib/nft/groups.ts'
import { gotoElement, keyElement, type Nft, type NftBatch, type NftElement, nameField } from '../../lib/nft/nft.ts'
import { matchMark, matchSet, rule, verdict, verdictFrom } from '../../lib/nft/rule.ts'

const FAMILY = 'bridge'
const TABLE = 'patchbay-firewall'
const PORTS = 'ports'
const MEMBERS = 'members'
const ISOLATED = 'isolated'
/** linux/netfilter_bridge.h NF_BR_PRI_FILTER_BRIDGED */
const PRIORITY = -200

/** Bridged packets of published ports. */
export const PUBLISHED_MARK = 0x800

/** What keeps frames from passing from this port to another isolated one. */
export function portMember(port: string, comment: string): Member {
  const key = nameField(port)
  return {
    table: BRIDGE_TABLE,
    group: ownGroup(),
    element: gotoElement(key, ISOLATED, comment),
    addMore: (batch: NftBatch): void => {
      batch.addElements(FAMILY, TABLE, MEMBERS, [keyElement(key, comment)])
    }
  }
}

/** What is not as `portMember` says, as sentences. */
export function portProblems(nft: Nft, port: string, comment: string): readonly string[] {
  const problems: string[] = []
  const element = nft.findElement(FAMILY, TABLE, PORTS, nameField(port))
  const member = nft.findElement(FAMILY, TABLE, MEMBERS, nameField(port))
  if (element?.comment !== comment || member?.comment !== comment) {
    problems.push(`bridge port ${JSON.stringify(port)} is not isolated`)
  }
  const rules = nft.listRules(FAMILY, TABLE, ISOLATED).length
  if (rules !== ownGroup().rules.length || nft.listRules(FAMILY, TABLE, 'forward').length !== 1) {
    problems.push(`table ${FAMILY} ${TABLE} has lost rules`)
  }
  return problems
}

/** The port's element, whoever's it is. */
export function findPort(nft: Nft, port: string): readonly FoundMember[] {
  const element = nft.findElement(FAMILY, TABLE, PORTS, nameField(port))
  return element === undefined ? [] : [foundMember(nft, element)]
}

/** All isolated ports. */
export function findPorts(nft: Nft): readonly FoundMember[] {
  return nft.listElements(FAMILY, TABLE, PORTS).map(element => foundMember(nft, element))
}

function foundMember(nft: Nft, element: NftElement): FoundMember {
  const isMember = nft.findElement(FAMILY, TABLE, MEMBERS, element.key) !== undefined
  return {
    table: BRIDGE_TABLE,
    group: ownGroup(),
    element,
    removeMore: (batch: NftBatch): void => {
      if (isMember) batch.removeElements(FAMILY, TABLE, MEMBERS, [keyElement(element.key, '')])
    }
  }
}

const BRIDGE_TABLE: GroupTable = { family: FAMILY, table: TABLE, map: PORTS, baseUse: 3, addBase }

/** No constant: that would be made at the start of every plugin. */
function ownGroup(): Group {
  return {
    chain: ISOLATED,
    rules: [
      // meta mark & 0x800 == 0x800 accept
      rule([matchMark(PUBLISHED_MARK), verdict('accept')]),
      // oifname @members drop
      rule([matchSet(FAMILY, ['oifname'], MEMBERS), verdict('drop')])
    ],
    addMore: nothingMore,
    removeMore: nothingMore
  }
}

function addBase(batch: NftBatch): void {
  batch.addSet(FAMILY, TABLE, { name: PORTS, key: ['ifname'], data: [], isInterval: false })
  batch.addSet(FAMILY, TABLE, { name: MEMBERS, key: ['ifname'], data: undefined, isInterval: false })
  const hook = { type: 'filter', hook: 'forward', priority: PRIORITY, policy: undefined } as const
  batch.addChain(FAMILY, TABLE, 'forward', hook)
  // iifname vmap @ports
  batch.addRule(FAMILY, TABLE, 'forward', verdictFrom(FAMILY, ['iifname'], PORTS))
}
