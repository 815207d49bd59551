/**
 * Nft over a NETLINK_NETFILTER socket of one namespace.
 *
 * @source linux/netfilter/nfnetlink.h; net/netfilter/nfnetlink.c nfnetlink_rcv_batch
 */

import { addressesEqual } from '../ip/address.ts'
import { type Conn, type Request, refusal } from '../netlink/conn.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import {
  decodeChain,
  encodeChain,
  encodeChainName,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  type NfHook
} from '../netlink/nf/chain.ts'
import {
  decodeConntrackEntry,
  encodeConntrackEntry,
  encodeConntrackFilter,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET
} from '../netlink/nf/conntrack.ts'
import { decodeGeneration, encodeGetGeneration } from '../netlink/nf/generation.ts'
import * as nf from '../netlink/nf/nf-tables.ts'
import {
  NFNL_SUBSYS_CTNETLINK,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_BRIDGE,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  nfType
} from '../netlink/nf/nfnetlink.ts'
import { decodeRule, encodeRule, encodeRuleName } from '../netlink/nf/rule.ts'
import { encodeSet } from '../netlink/nf/set.ts'
import { decodeElements, encodeElementKeys, encodeElements, type NfElementList } from '../netlink/nf/set-element.ts'
import { decodeTable, encodeTable, encodeTableName } from '../netlink/nf/table.ts'
import { errnoOf } from '../sys/errors.ts'
import {
  type ConntrackEntry,
  type ConntrackFilter,
  Nft,
  type NftBatch,
  type NftChain,
  type NftElement,
  NftError,
  type NftFamily,
  type NftHook,
  type NftHookName,
  type NftRule,
  type NftStep,
  type NftTable
} from './nft.ts'

export class KernelNft extends Nft {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override close(): void {
    this.#conn.close()
  }

  override commit(batch: NftBatch, generation: number | undefined): void {
    const steps = batch.steps()
    const commands: Request[] = []
    for (const step of steps) commands.push(commandOf(step, commands.length + 1))
    const refused = this.#conn.transact(commands, generation)
    if (refused === undefined) return
    const command = commands[refused.at]
    throw new NftError(command?.operation ?? 'change', command?.object ?? 'ruleset', refused)
  }

  override generation(): number {
    const payload = this.#get('get', 'ruleset generation', nf.NFT_MSG_GETGEN, encodeGetGeneration())
    return payload === undefined ? 0 : decodeGeneration(payload)
  }

  override findTable(family: NftFamily, table: string): NftTable | undefined {
    const object = `${family} ${table}`
    const payload = this.#get('get table', object, nf.NFT_MSG_GETTABLE, encodeTableName(numberOf(family), table))
    return payload === undefined ? undefined : { family, name: table, use: decodeTable(payload).use }
  }

  override findChain(family: NftFamily, table: string, chain: string): NftChain | undefined {
    const request = encodeChainName(numberOf(family), table, chain)
    const payload = this.#get('get chain', `${family} ${table} ${chain}`, nf.NFT_MSG_GETCHAIN, request)
    return payload === undefined ? undefined : chainOf(family, payload)
  }

  override listChains(family: NftFamily): readonly NftChain[] {
    const request = encodeTableName(numberOf(family), '')
    return this.#list('list chains', family, nf.NFT_MSG_GETCHAIN, request).map(payload => chainOf(family, payload))
  }

  override listRules(family: NftFamily, table: string, chain: string): readonly NftRule[] {
    const request = encodeRuleName(numberOf(family), table, chain, 0)
    const rules: NftRule[] = []
    for (const payload of this.#list('list rules', `${family} ${table} ${chain}`, nf.NFT_MSG_GETRULE, request)) {
      const rule = decodeRule(payload)
      if (rule.table !== table || rule.chain !== chain) continue
      rules.push({ handle: rule.handle, expressions: rule.expressions, comment: rule.comment })
    }
    return rules
  }

  override findElement(family: NftFamily, table: string, set: string, key: Uint8Array): NftElement | undefined {
    return this.findElements(family, table, set, [key])[0]
  }

  override findElements(
    family: NftFamily,
    table: string,
    set: string,
    keys: readonly Uint8Array[]
  ): readonly (NftElement | undefined)[] {
    const requests: Request[] = []
    for (const key of keys) {
      const wanted = { key, keyEnd: undefined, data: undefined, verdict: undefined, comment: '' }
      const payload = encodeElementKeys({ family: numberOf(family), table, set, setId: 0, elements: [wanted] })
      const object = `${family} ${table} ${set}`
      const type = tablesType(nf.NFT_MSG_GETSETELEM)
      requests.push({ operation: 'get element', object, type, flags: 0, payload, answer: 'message' })
    }
    return this.#conn.batch(requests).map(answer => {
      if (answer.errno === 'ENOENT') return undefined
      if (answer.errno !== '') throw refusal(answer)
      const payload = answer.payloads[0]
      return payload === undefined ? undefined : decodeElements(payload).elements[0]
    })
  }

  override listElements(family: NftFamily, table: string, set: string): readonly NftElement[] {
    const request = encodeElements(elementsOf(family, table, set))
    return elementsIn(this.#list('list elements', `${family} ${table} ${set}`, nf.NFT_MSG_GETSETELEM, request))
  }

  override listSomeElements(family: NftFamily, table: string, set: string, mostBytes: number): readonly NftElement[] {
    const object = `${family} ${table} ${set}`
    const payload = encodeElements(elementsOf(family, table, set))
    const type = tablesType(nf.NFT_MSG_GETSETELEM)
    const request: Request = { operation: 'list elements', object, type, flags: 0, payload, answer: 'message' }
    return orNothing(() => elementsIn(this.#conn.dumpSome(request, mostBytes)))
  }

  override flushConntrack(filter: ConntrackFilter): void {
    if (filter.port === (filter.lastPort ?? filter.port)) {
      const answer = this.#conn.attempt(conntrackDeletion(encodeConntrackFilter(filter)))
      if (answer.errno === '' || answer.errno === 'ENOENT') return
      // Before Linux 6.8 a deletion means one entry, and a tuple with holes is EINVAL.
      if (answer.errno !== 'EINVAL' && answer.errno !== 'EOPNOTSUPP') throw refusal(answer)
    }
    this.removeConntrack(filter.family, this.listConntrack(filter.family, filter))
  }

  override removeConntrack(family: 4 | 6, entries: readonly ConntrackEntry[]): void {
    const deletions = entries.map(entry => conntrackDeletion(encodeConntrackEntry(family, entry.original)))
    for (const answer of this.#conn.batch(deletions)) {
      if (answer.errno !== '' && answer.errno !== 'ENOENT') throw refusal(answer)
    }
  }

  override listConntrack(family: 4 | 6, filter?: ConntrackFilter): readonly ConntrackEntry[] {
    const isSingle = filter !== undefined && filter.port === (filter.lastPort ?? filter.port)
    const payload = isSingle ? encodeConntrackFilter(filter) : encodeConntrackEntry(family, undefined)
    const type = nfType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET)
    const entries = this.#conn.dump('list', 'connection table', type, payload).map(one => decodeConntrackEntry(one))
    return filter === undefined ? entries : entries.filter(entry => isMeant(entry, filter))
  }

  /** One message; undefined for ENOENT. */
  #get(operation: string, object: string, message: number, payload: Uint8Array): Uint8Array | undefined {
    const type = tablesType(message)
    const answer = this.#conn.attempt({ operation, object, type, flags: 0, payload, answer: 'message' })
    if (answer.errno === 'ENOENT') return undefined
    if (answer.errno !== '') throw refusal(answer)
    return answer.payloads[0]
  }

  #list(operation: string, object: string, message: number, payload: Uint8Array): readonly Uint8Array[] {
    return orNothing(() => this.#conn.dump(operation, object, tablesType(message), payload))
  }
}

/** Nothing where there is no such table. */
function orNothing<T>(list: () => readonly T[]): readonly T[] {
  try {
    return list()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

/** What asks for a set's elements. */
function elementsOf(family: NftFamily, table: string, set: string): NfElementList {
  return { family: numberOf(family), table, set, setId: 0, elements: [] }
}

function elementsIn(payloads: readonly Uint8Array[]): readonly NftElement[] {
  const elements: NftElement[] = []
  for (const payload of payloads) for (const element of decodeElements(payload).elements) elements.push(element)
  return elements
}

function conntrackDeletion(payload: Uint8Array): Request {
  const type = nfType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE)
  return { operation: 'flush', object: 'connection table', type, flags: 0, payload, answer: 'acknowledgement' }
}

function tablesType(message: number): number {
  return nfType(NFNL_SUBSYS_NFTABLES, message)
}

function numberOf(family: NftFamily): number {
  if (family === 'ip') return NFPROTO_IPV4
  return family === 'ip6' ? NFPROTO_IPV6 : NFPROTO_BRIDGE
}

/** @param id tells the sets of a batch apart */
function commandOf(step: NftStep, id: number): Request {
  const isAddition = step.operation.startsWith('add ')
  const adding = isAddition ? NLM_F_CREATE | (step.isExclusive ? NLM_F_EXCL : 0) : 0
  return {
    operation: step.operation,
    object: `${step.family} ${step.table}${step.name === '' ? '' : ` ${step.name}`}`,
    type: tablesType(messageOf(step)),
    flags: step.operation === 'add rule' ? adding | NLM_F_APPEND : adding,
    payload: encodeStep(step, id),
    answer: 'acknowledgement'
  }
}

function messageOf(step: NftStep): number {
  switch (step.operation) {
    case 'add table':
      return nf.NFT_MSG_NEWTABLE
    case 'remove table':
      return nf.NFT_MSG_DELTABLE
    case 'add chain':
      return nf.NFT_MSG_NEWCHAIN
    case 'remove chain':
      return nf.NFT_MSG_DELCHAIN
    case 'add rule':
      return nf.NFT_MSG_NEWRULE
    case 'remove rule':
      return nf.NFT_MSG_DELRULE
    case 'add set':
      return nf.NFT_MSG_NEWSET
    case 'add element':
      return nf.NFT_MSG_NEWSETELEM
    case 'remove element':
      return nf.NFT_MSG_DELSETELEM
  }
}

function encodeStep(step: NftStep, id: number): Uint8Array {
  const { table, name } = step
  const family = numberOf(step.family)
  const list: NfElementList = { family, table, set: name, setId: 0, elements: step.elements }
  switch (step.operation) {
    case 'add table':
      return encodeTable({ family, name: table, flags: 0, use: 0 })
    case 'remove table':
      return encodeTableName(family, table)
    case 'add chain':
      return encodeChain({ family, table, name, hook: step.hook === undefined ? undefined : hookOf(step.hook), use: 0 })
    case 'remove chain':
      return encodeChainName(family, table, name)
    case 'add rule': {
      const { expressions } = step
      return encodeRule({ family, table, chain: name, handle: 0, expressions, comment: '' })
    }
    case 'remove rule':
      return encodeRuleName(family, table, name, step.handle)
    case 'add set': {
      const key = step.set === undefined ? [] : step.set.key
      const { data, isInterval } = { data: step.set?.data, isInterval: step.set?.isInterval === true }
      const { counts, isDynamic } = { counts: step.set?.counts === true, isDynamic: step.set?.isDynamic === true }
      return encodeSet({ family, table, name, key, data, isInterval, counts, isDynamic, id })
    }
    case 'add element':
      return encodeElements(list)
    case 'remove element':
      return encodeElementKeys(list)
  }
}

const HOOKS: readonly (readonly [NftHookName, number])[] = [
  ['prerouting', NF_INET_PRE_ROUTING],
  ['input', NF_INET_LOCAL_IN],
  ['forward', NF_INET_FORWARD],
  ['output', NF_INET_LOCAL_OUT],
  ['postrouting', NF_INET_POST_ROUTING]
]

function hookOf(hook: NftHook): NfHook {
  const found = HOOKS.find(one => one[0] === hook.hook)
  const policy = hook.policy === undefined ? undefined : hook.policy === 'drop' ? NF_DROP : NF_ACCEPT
  return { type: hook.type, number: found === undefined ? 0 : found[1], priority: hook.priority, policy }
}

function chainOf(family: NftFamily, payload: Uint8Array): NftChain {
  const chain = decodeChain(payload)
  return { family, table: chain.table, name: chain.name, hook: nftHookOf(chain.hook), use: chain.use }
}

function nftHookOf(hook: NfHook | undefined): NftHook | undefined {
  if (hook === undefined) return undefined
  const found = HOOKS.find(one => one[1] === hook.number)
  return {
    type: hook.type === 'nat' ? 'nat' : 'filter',
    hook: found === undefined ? 'input' : found[0],
    priority: hook.priority,
    policy: hook.policy === NF_DROP ? 'drop' : 'accept'
  }
}

/** Whether an entry matches, for kernels that leave that to us. */
function isMeant(entry: ConntrackEntry, filter: ConntrackFilter): boolean {
  const { original, reply } = entry
  if (filter.protocol !== undefined && original.protocol !== filter.protocol) return false
  if (filter.port !== undefined) {
    if (original.destinationPort < filter.port || original.destinationPort > (filter.lastPort ?? filter.port))
      return false
  }
  const { address, replySource, replyPort } = filter
  if (replyPort !== undefined && reply.sourcePort !== replyPort) return false
  if (address !== undefined && !isSame(original.destination, address)) return false
  return replySource === undefined || isSame(reply.source, replySource)
}

function isSame(a: ConntrackEntry['original']['source'], b: ConntrackFilter['address']): boolean {
  return a !== undefined && b !== undefined && addressesEqual(a, b)
}
