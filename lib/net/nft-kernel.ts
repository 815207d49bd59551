/**
 * Nft over a NETLINK_NETFILTER socket of one namespace.
 *
 * @source linux/netfilter/nfnetlink.h; net/netfilter/nfnetlink.c nfnetlink_rcv_batch
 */

import { Writer } from '../bytes/writer.ts'
import { addressesEqual } from '../ip/address.ts'
import { errnoSymbol, errnoText } from '../netlink/errno.ts'
import {
  decodeMessages,
  decodeVerdict,
  encodeMessage,
  type Message,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR
} from '../netlink/message.ts'
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
  encodeBatchBegin,
  encodeBatchEnd,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_CTNETLINK,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_BRIDGE,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  nfType
} from '../netlink/nf/nfnetlink.ts'
import { decodeRule, encodeRule, encodeRuleName } from '../netlink/nf/rule.ts'
import { encodeSet, encodeSetName } from '../netlink/nf/set.ts'
import { decodeElements, encodeElementKeys, encodeElements, type NfElementList } from '../netlink/nf/set-element.ts'
import { decodeTable, encodeTable, encodeTableName } from '../netlink/nf/table.ts'
import {
  closeNetlink,
  NETLINK_NETFILTER,
  openNetlink,
  receiveNetlink,
  sendNetlink,
  setNetlinkBuffers
} from '../sys/netlink-socket.ts'
import { inNamespace } from '../sys/netns.ts'
import { KernelError, thrown } from './errors.ts'
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

/** A dump that never comes whole: somebody changes the ruleset all the time. */
const DUMP_ATTEMPTS = 50
/** Room that every socket has without asking. */
const ORDINARY_BUFFER = 65536

/** What a request is about, for errors. */
interface About {
  readonly operation: string
  readonly object: string
}

export class KernelNft extends Nft {
  readonly #fd: number
  #sequence = 0

  /** @param namespaceFd the namespace to open the socket in; -1 = the one the process is in */
  constructor(namespaceFd: number) {
    super()
    this.#fd = openIn(namespaceFd)
  }

  override close(): void {
    closeNetlink(this.#fd)
  }

  override commit(batch: NftBatch, generation: number | undefined): void {
    const steps = batch.steps()
    if (steps.length === 0) return
    const first = this.#sequence + 1
    const last = first + steps.length
    this.#sequence = last + 1
    const writer = new Writer()
    writer.bytes(encodeMessage(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, encodeBatchBegin(generation)))
    for (let i = 0; i < steps.length; i += 1) {
      const step = steps[i]
      // One acknowledgement for all: a batch without errors answers once, one with errors also once per error.
      if (step !== undefined) writer.bytes(encodeStep(step, first + 1 + i, i === steps.length - 1, i + 1))
    }
    writer.bytes(encodeMessage(NFNL_MSG_BATCH_END, NLM_F_REQUEST, last + 1, encodeBatchEnd()))
    const bytes = writer.finish()
    if (bytes.length > ORDINARY_BUFFER) setNetlinkBuffers(this.#fd, bytes.length * 4)
    sendNetlink(this.#fd, bytes)
    this.#finishBatch(steps, first, last)
  }

  /** The kernel answers in the order of the batch; the last command's answer is the last one. */
  #finishBatch(steps: readonly NftStep[], first: number, last: number): void {
    let error: NftError | undefined
    let isOpen = true
    while (isOpen) {
      for (const message of decodeMessages(receiveNetlink(this.#fd))) {
        if (message.type !== NLMSG_ERROR || message.sequence < first || message.sequence > last + 1) continue
        if (message.sequence === first || message.sequence >= last) isOpen = false
        const verdict = decodeVerdict(message)
        if (verdict.errno === 0 || error !== undefined) continue
        const at = message.sequence - first - 1
        const step = steps[at]
        const about = step === undefined ? { operation: 'change', object: 'ruleset' } : aboutStep(step)
        const symbol = errnoSymbol(verdict.errno)
        const place = step === undefined ? -1 : at
        error = new NftError(about.operation, about.object, symbol, errnoText(verdict.errno), verdict.text, place)
      }
    }
    if (error !== undefined) throw error
  }

  override generation(): number {
    const about = { operation: 'get', object: 'ruleset generation' }
    const payload = this.#get(tablesType(nf.NFT_MSG_GETGEN), encodeGetGeneration(), about)
    return payload === undefined ? 0 : decodeGeneration(payload)
  }

  override findTable(family: NftFamily, table: string): NftTable | undefined {
    const about = { operation: 'get table', object: `${family} ${table}` }
    const payload = this.#get(tablesType(nf.NFT_MSG_GETTABLE), encodeTableName(numberOf(family), table), about)
    return payload === undefined ? undefined : { family, name: table, use: decodeTable(payload).use }
  }

  override findChain(family: NftFamily, table: string, chain: string): NftChain | undefined {
    const about = { operation: 'get chain', object: `${family} ${table} ${chain}` }
    const payload = this.#get(tablesType(nf.NFT_MSG_GETCHAIN), encodeChainName(numberOf(family), table, chain), about)
    return payload === undefined ? undefined : chainOf(family, payload)
  }

  override listChains(family: NftFamily): readonly NftChain[] {
    const about = { operation: 'list chains', object: family }
    const payloads = this.#dump(tablesType(nf.NFT_MSG_GETCHAIN), encodeTableName(numberOf(family), ''), about)
    return payloads.map(payload => chainOf(family, payload))
  }

  override listRules(family: NftFamily, table: string, chain: string): readonly NftRule[] {
    const about = { operation: 'list rules', object: `${family} ${table} ${chain}` }
    const request = encodeRuleName(numberOf(family), table, chain, 0)
    const rules: NftRule[] = []
    for (const payload of this.#dump(tablesType(nf.NFT_MSG_GETRULE), request, about)) {
      const rule = decodeRule(payload)
      if (rule.table !== table || rule.chain !== chain) continue
      rules.push({ handle: rule.handle, expressions: rule.expressions, comment: rule.comment })
    }
    return rules
  }

  override findElement(family: NftFamily, table: string, set: string, key: Uint8Array): NftElement | undefined {
    const wanted = { key, keyEnd: undefined, data: undefined, verdict: undefined, comment: '' }
    const list: NfElementList = { family: numberOf(family), table, set, setId: 0, elements: [wanted] }
    const about = { operation: 'get element', object: `${family} ${table} ${set}` }
    const payload = this.#get(tablesType(nf.NFT_MSG_GETSETELEM), encodeElementKeys(list), about)
    return payload === undefined ? undefined : decodeElements(payload).elements[0]
  }

  override listElements(family: NftFamily, table: string, set: string): readonly NftElement[] {
    const list: NfElementList = { family: numberOf(family), table, set, setId: 0, elements: [] }
    const about = { operation: 'list elements', object: `${family} ${table} ${set}` }
    const elements: NftElement[] = []
    for (const payload of this.#dump(tablesType(nf.NFT_MSG_GETSETELEM), encodeElements(list), about)) {
      for (const element of decodeElements(payload).elements) elements.push(element)
    }
    return elements
  }

  override flushConntrack(filter: ConntrackFilter): void {
    const about = { operation: 'flush', object: 'connection table' }
    const type = nfType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE)
    if (filter.port === (filter.lastPort ?? filter.port)) {
      const error = this.#acknowledge(type, encodeConntrackFilter(filter), about)
      if (error === undefined || error.errno === 'ENOENT') return
      // Before Linux 6.8 a deletion means one entry, and a tuple with holes is EINVAL.
      if (error.errno !== 'EINVAL' && error.errno !== 'EOPNOTSUPP') throw thrown(error)
    }
    for (const entry of this.listConntrack(filter.family)) {
      if (!isMeant(entry, filter)) continue
      const refused = this.#acknowledge(type, encodeConntrackEntry(filter.family, entry.original), about)
      if (refused !== undefined && refused.errno !== 'ENOENT') throw thrown(refused)
    }
  }

  override listConntrack(family: 4 | 6): readonly ConntrackEntry[] {
    const about = { operation: 'list', object: 'connection table' }
    const type = nfType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET)
    return this.#dump(type, encodeConntrackEntry(family, undefined), about).map(one => decodeConntrackEntry(one))
  }

  /** One message; undefined for ENOENT. */
  #get(type: number, payload: Uint8Array, about: About): Uint8Array | undefined {
    const sequence = this.#send(type, NLM_F_REQUEST, payload)
    for (;;) {
      for (const message of decodeMessages(receiveNetlink(this.#fd))) {
        if (message.sequence !== sequence) continue
        if (message.type !== NLMSG_ERROR) return message.payload.slice(0)
        const error = refusal(about, message)
        if (error === undefined || error.errno === 'ENOENT') return undefined
        throw thrown(error)
      }
    }
  }

  #acknowledge(type: number, payload: Uint8Array, about: About): KernelError | undefined {
    const sequence = this.#send(type, NLM_F_REQUEST | NLM_F_ACK, payload)
    for (;;) {
      for (const message of decodeMessages(receiveNetlink(this.#fd))) {
        if (message.sequence === sequence && message.type === NLMSG_ERROR) return refusal(about, message)
      }
    }
  }

  /** None for ENOENT. A dump during which the ruleset changed is begun anew. */
  #dump(type: number, payload: Uint8Array, about: About): readonly Uint8Array[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const payloads = this.#dumpOnce(type, payload, about)
      if (payloads !== undefined) return payloads
    }
    throw new KernelError(about.operation, about.object, 'EAGAIN', 'the ruleset changes all the time', '')
  }

  #dumpOnce(type: number, payload: Uint8Array, about: About): readonly Uint8Array[] | undefined {
    const sequence = this.#send(type, NLM_F_REQUEST | NLM_F_DUMP, payload)
    const payloads: Uint8Array[] = []
    let isTorn = false
    for (;;) {
      for (const message of decodeMessages(receiveNetlink(this.#fd))) {
        if (message.sequence !== sequence) continue
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) isTorn = true
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          payloads.push(message.payload.slice(0))
          continue
        }
        const error = refusal(about, message)
        if (error === undefined) return isTorn ? undefined : payloads
        if (error.errno === 'ENOENT') return []
        // A dump that is overtaken by a change may also end so.
        if (error.errno === 'EINTR') return undefined
        throw thrown(error)
      }
    }
  }

  #send(type: number, flags: number, payload: Uint8Array): number {
    this.#sequence += 1
    sendNetlink(this.#fd, encodeMessage(type, flags, this.#sequence, payload))
    return this.#sequence
  }
}

function openIn(namespaceFd: number): number {
  if (namespaceFd < 0) return openNetlink(NETLINK_NETFILTER)
  return inNamespace(namespaceFd, () => openNetlink(NETLINK_NETFILTER))
}

function refusal(about: About, message: Message): KernelError | undefined {
  const verdict = decodeVerdict(message)
  if (verdict.errno === 0) return undefined
  const symbol = errnoSymbol(verdict.errno)
  return new KernelError(about.operation, about.object, symbol, errnoText(verdict.errno), verdict.text)
}

function tablesType(message: number): number {
  return nfType(NFNL_SUBSYS_NFTABLES, message)
}

function numberOf(family: NftFamily): number {
  if (family === 'ip') return NFPROTO_IPV4
  return family === 'ip6' ? NFPROTO_IPV6 : NFPROTO_BRIDGE
}

function aboutStep(step: NftStep): About {
  const name = step.name === '' ? '' : ` ${step.name}`
  return { operation: step.operation, object: `${step.family} ${step.table}${name}` }
}

/** @param id tells the sets of a batch apart */
function encodeStep(step: NftStep, sequence: number, isLast: boolean, id: number): Uint8Array {
  const flags = NLM_F_REQUEST | (isLast ? NLM_F_ACK : 0)
  const adding = flags | NLM_F_CREATE | (step.isExclusive ? NLM_F_EXCL : 0)
  const { table, name } = step
  const family = numberOf(step.family)
  const list: NfElementList = { family, table, set: name, setId: 0, elements: step.elements }
  switch (step.operation) {
    case 'add table':
      return message(nf.NFT_MSG_NEWTABLE, adding, sequence, encodeTable({ family, name: table, flags: 0, use: 0 }))
    case 'remove table':
      return message(nf.NFT_MSG_DELTABLE, flags, sequence, encodeTableName(family, table))
    case 'add chain': {
      const hook = step.hook === undefined ? undefined : hookOf(step.hook)
      return message(nf.NFT_MSG_NEWCHAIN, adding, sequence, encodeChain({ family, table, name, hook, use: 0 }))
    }
    case 'remove chain':
      return message(nf.NFT_MSG_DELCHAIN, flags, sequence, encodeChainName(family, table, name))
    case 'add rule': {
      const { expressions, comment } = step
      const rule = encodeRule({ family, table, chain: name, handle: 0, expressions, comment })
      return message(nf.NFT_MSG_NEWRULE, adding | NLM_F_APPEND, sequence, rule)
    }
    case 'remove rule':
      return message(nf.NFT_MSG_DELRULE, flags, sequence, encodeRuleName(family, table, name, step.handle))
    case 'add set': {
      const { set } = step
      const key = set === undefined ? [] : set.key
      const payload = encodeSet({ family, table, name, key, data: set?.data, isInterval: set?.isInterval === true, id })
      return message(nf.NFT_MSG_NEWSET, adding, sequence, payload)
    }
    case 'remove set':
      return message(nf.NFT_MSG_DELSET, flags, sequence, encodeSetName(family, table, name))
    case 'add element':
      return message(nf.NFT_MSG_NEWSETELEM, adding, sequence, encodeElements(list))
    case 'remove element':
      return message(nf.NFT_MSG_DELSETELEM, flags, sequence, encodeElementKeys(list))
  }
}

function message(number: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
  return encodeMessage(tablesType(number), flags, sequence, payload)
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
  if (original.protocol !== filter.protocol) return false
  if (filter.port !== undefined) {
    if (original.destinationPort < filter.port || original.destinationPort > (filter.lastPort ?? filter.port))
      return false
  }
  const { address, replySource } = filter
  if (address !== undefined && !isSame(original.destination, address)) return false
  return replySource === undefined || isSame(reply.source, replySource)
}

function isSame(a: ConntrackEntry['original']['source'], b: ConntrackFilter['address']): boolean {
  return a !== undefined && b !== undefined && addressesEqual(a, b)
}
