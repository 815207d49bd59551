/**
 * Isolation of bridges from each other, and of containers on one bridge:
 *
 *     table ip patchbay-firewall {
 *       map containers { type ipv4_addr : verdict; elements = { 10.4.0.5 comment "net id eth0" : goto same-bridge-cni0 } }
 *       set bridges { type ifname; elements = { "cni0" } }
 *       chain forward {
 *         type filter hook forward priority 0;
 *         ct state established,related accept
 *         ct status dnat accept
 *         ip daddr vmap @containers
 *       }
 *       chain published {
 *         type filter hook prerouting priority -90;
 *         iifname @bridges ct status dnat meta mark set meta mark | 0x800
 *       }
 *       chain same-bridge-cni0 { iifname "cni0" return; iifname @bridges drop; }
 *       chain isolated-cni0 { iifname @bridges drop; }
 *       chain closed-same-bridge-cni0 { iifname "cni0" return; drop; }
 *       chain closed-isolated-cni0 { drop; }
 *     }
 *
 * `closed-` is `directRouting: false`. Published ports stay reachable from everywhere (`ct status dnat`), as they are from outside. On one bridge frames go
 * from port to port without passing here: bridge-ports.ts isolates them, and knows published ports by their mark.
 */

import { isOfNetwork } from '../../lib/attachment.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import {
  addMembers,
  type FoundMember,
  type Group,
  type GroupTable,
  type Member,
  nothingMore,
  removeMembers
} from '../../lib/nft/groups.ts'
import {
  addressField,
  type Expression,
  gotoElement,
  keyElement,
  type Nft,
  type NftBatch,
  type NftElement,
  nameField,
  nftFamily
} from '../../lib/nft/nft.ts'
import {
  matchKnownConnection,
  matchName,
  matchSet,
  matchTranslatedDestination,
  rule,
  setMark,
  verdict,
  verdictFrom
} from '../../lib/nft/rule.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { findPort, findPorts, PUBLISHED_MARK, portMember, portProblems } from './bridge-ports.ts'

const TABLE = 'patchbay-firewall'
const CONTAINERS = 'containers'
const BRIDGES = 'bridges'
const FORWARD_RULES = 3
/** What the names of chains begin with that let the outside in to published ports alone. */
const CLOSED = 'closed-'
const PRIORITY = 0
const AFTER_TRANSLATION = -90

/** A container that only some may open connections to. */
export interface Isolated {
  readonly policy: 'same-bridge' | 'isolated'
  /** Whether the outside is let in to more than published ports. */
  readonly isRouted: boolean
  /** Of its domain; the first names the chain. */
  readonly interfaces: readonly string[]
  readonly addresses: readonly IpAddress[]
  /** Its port of the bridge, when it is to be isolated from the others. */
  readonly port: string | undefined
  /** `ownerText` */
  readonly comment: string
}

/** Whether one of the tables that it needs is not there: nobody has needed it so far, or somebody else took it away. */
export function isMissing(nft: Nft, { addresses, port }: Isolated): boolean {
  const families = addresses.map(one => nftFamily(one.family)).concat(port === undefined ? [] : ['bridge'])
  return families.some(family => nft.findTable(family, TABLE) === undefined)
}

/**
 * Isolates the container, in one transaction. What others left behind at its addresses and its port goes. Another ADD, which
 * found the tables missing, may do it first, as the journal tells.
 */
export function isolate(nft: Nft, isolated: Isolated): void {
  for (let attempt = 1; isolationProblems(nft, isolated).length > 0; attempt += 1) {
    try {
      isolateOnce(nft, isolated)
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || attempt === 3) throw error
    }
  }
}

function isolateOnce(nft: Nft, isolated: Isolated): void {
  const { addresses, port, comment } = isolated
  if (findPlaces(nft, addresses, port).length > 0) removeMembers(nft, () => findPlaces(nft, addresses, port))
  const members: Member[] = addresses.map(address => {
    const group = groupOf(nft, isolated, address.family)
    const element = gotoElement(addressField(address), group.chain, comment)
    return { table: tableOf(address.family), group, element, addMore: nothingMore }
  })
  if (port !== undefined) members.push(portMember(port, comment))
  addMembers(nft, members)
}

/**
 * Lifts it.
 *
 * @param places as the journal has them; undefined looks through all elements for the owner
 * @returns false when there was nothing, which costs no transaction
 */
export function lift(nft: Nft, comment: string, places: Isolated | undefined): boolean {
  return removeMembers(nft, () => {
    const found = places === undefined ? findAll(nft) : findPlaces(nft, places.addresses, places.port)
    return found.filter(member => member.element.comment === comment)
  })
}

/** Lifts what belongs to the network and to no valid attachment. */
export function collect(nft: Nft, network: string, isValid: (comment: string) => boolean): boolean {
  return removeMembers(nft, () =>
    findAll(nft).filter(({ element }) => isOfNetwork(element.comment, network) && !isValid(element.comment))
  )
}

/** What is not as `isolate` left it, as sentences. */
export function isolationProblems(nft: Nft, isolated: Isolated): readonly string[] {
  const problems: string[] = []
  for (const address of isolated.addresses) {
    const family = nftFamily(address.family)
    const group = groupOf(nft, isolated, address.family)
    const element = nft.findElement(family, TABLE, CONTAINERS, addressField(address))
    if (element?.comment !== isolated.comment || element.verdict?.chain !== group.chain) {
      problems.push(`an element of table ${family} ${TABLE}, map ${CONTAINERS}, is missing or another's`)
    }
    const rules = nft.listRules(family, TABLE, group.chain).length
    if (rules !== group.rules.length || nft.listRules(family, TABLE, 'forward').length !== FORWARD_RULES) {
      problems.push(`table ${family} ${TABLE} has lost rules`)
    }
    for (const name of isolated.interfaces) {
      if (nft.findElement(family, TABLE, BRIDGES, nameField(name)) === undefined) {
        problems.push(`set ${BRIDGES} of table ${family} ${TABLE} has lost ${JSON.stringify(name)}`)
      }
    }
  }
  if (isolated.port !== undefined) {
    for (const one of portProblems(nft, isolated.port, isolated.comment)) problems.push(one)
  }
  return problems
}

function findPlaces(nft: Nft, addresses: readonly IpAddress[], port: string | undefined): readonly FoundMember[] {
  const containers = findAt(nft, addresses)
  return port === undefined ? containers : containers.concat(findPort(nft, port))
}

function findAt(nft: Nft, addresses: readonly IpAddress[]): readonly FoundMember[] {
  const found: FoundMember[] = []
  for (const address of addresses) {
    const element = nft.findElement(nftFamily(address.family), TABLE, CONTAINERS, addressField(address))
    if (element !== undefined) found.push(foundMember(nft, tableOf(address.family), element))
  }
  return found
}

function findAll(nft: Nft): readonly FoundMember[] {
  const found: FoundMember[] = []
  for (const table of [tableOf(4), tableOf(6)]) {
    for (const element of nft.listElements(table.family, TABLE, CONTAINERS)) {
      found.push(foundMember(nft, table, element))
    }
  }
  return found.concat(findPorts(nft))
}

function foundMember(nft: Nft, table: GroupTable, element: NftElement): FoundMember {
  const chain = element.verdict?.chain ?? ''
  // The chain itself says which interfaces it is of, and how many rules it has.
  const rules = nft.listRules(table.family, TABLE, chain).map(one => one.expressions)
  return { table, element, group: groupWith(nft, table, chain, rules), removeMore: nothingMore }
}

function chainName(isolated: Isolated): string {
  const { policy, isRouted, interfaces } = isolated
  return `${isRouted ? '' : CLOSED}${policy}-${interfaces.join('/')}`
}

function chainInterfaces(chain: string): readonly string[] {
  const name = chain.startsWith(CLOSED) ? chain.slice(CLOSED.length) : chain
  for (const policy of ['same-bridge', 'isolated']) {
    if (name.startsWith(`${policy}-`)) {
      return name
        .slice(policy.length + 1)
        .split('/')
        .filter(one => one !== '')
    }
  }
  return []
}

function groupOf(nft: Nft, isolated: Isolated, family: 4 | 6): Group {
  const { policy, isRouted, interfaces } = isolated
  const rules: (readonly Expression[])[] = []
  if (policy === 'same-bridge') {
    // iifname "cni0" return
    for (const name of interfaces) rules.push(rule([matchName('iifname', name), verdict('return')]))
  }
  // iifname @bridges drop, or drop
  rules.push(rule([isRouted ? matchSet('ip', ['iifname'], BRIDGES) : [], verdict('drop')]))
  return groupWith(nft, tableOf(family), chainName(isolated), rules)
}

function groupWith(nft: Nft, table: GroupTable, chain: string, rules: readonly (readonly Expression[])[]): Group {
  const { family } = table
  const interfaces = chainInterfaces(chain)
  return {
    chain,
    rules,
    addMore: (batch: NftBatch): void => {
      const elements = interfaces.map(name => keyElement(nameField(name), ''))
      batch.addElements(family, TABLE, BRIDGES, elements)
    },
    removeMore: (batch: NftBatch): void => {
      const others = nft.listChains(family).filter(one => one.table === TABLE && one.name !== chain)
      for (const name of interfaces) {
        // Networks with different policies may share a bridge.
        const isUsed = others.some(one => chainInterfaces(one.name).some(other => other === name))
        const element = keyElement(nameField(name), '')
        const isThere = nft.findElement(family, TABLE, BRIDGES, element.key) !== undefined
        if (!isUsed && isThere) batch.removeElements(family, TABLE, BRIDGES, [element])
      }
    }
  }
}

function tableOf(number: 4 | 6): GroupTable {
  const family = nftFamily(number)
  function addBase(batch: NftBatch): void {
    const type = number === 4 ? 'ipv4_addr' : 'ipv6_addr'
    batch.addSet(family, TABLE, { name: CONTAINERS, key: [type], data: [], isInterval: false })
    batch.addSet(family, TABLE, { name: BRIDGES, key: ['ifname'], data: undefined, isInterval: false })
    const hook = { type: 'filter', hook: 'forward', priority: PRIORITY, policy: undefined } as const
    batch.addChain(family, TABLE, 'forward', hook)
    // ct state established,related accept
    batch.addRule(family, TABLE, 'forward', rule([matchKnownConnection(), verdict('accept')]))
    // ct status dnat accept
    batch.addRule(family, TABLE, 'forward', rule([matchTranslatedDestination(), verdict('accept')]))
    const after = { type: 'filter', hook: 'prerouting', priority: AFTER_TRANSLATION, policy: undefined } as const
    batch.addChain(family, TABLE, 'published', after)
    // iifname @bridges ct status dnat meta mark set meta mark | 0x800
    const published = [matchSet(family, ['iifname'], BRIDGES), matchTranslatedDestination(), setMark(PUBLISHED_MARK)]
    batch.addRule(family, TABLE, 'published', rule(published))
    // ip daddr vmap @containers
    batch.addRule(family, TABLE, 'forward', verdictFrom(family, ['daddr'], CONTAINERS))
  }
  return { family, table: TABLE, map: CONTAINERS, baseUse: 4, addBase }
}
