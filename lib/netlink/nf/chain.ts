/**
 * Chains: plain ones that rules jump to, and base chains that the kernel calls at a hook.
 *
 *     chain prerouting { type nat hook prerouting priority -100; policy accept; }
 *
 * @source linux/netfilter/nf_tables.h enum nft_chain_attributes, enum nft_hook_attributes; linux/netfilter.h
 *   enum nf_inet_hooks
 */
import { type Attribute, attributes, readText, readU32be } from '../reader.ts'
import type { Writer } from '../writer.ts'
import { decodeNfMessage, nfMessage } from './nfnetlink.ts'

const NFTA_CHAIN_TABLE = 1
const NFTA_CHAIN_NAME = 3
const NFTA_CHAIN_HOOK = 4
const NFTA_CHAIN_POLICY = 5
const NFTA_CHAIN_USE = 6
const NFTA_CHAIN_TYPE = 7

const NFTA_HOOK_HOOKNUM = 1
const NFTA_HOOK_PRIORITY = 2

export const NF_INET_PRE_ROUTING = 0
export const NF_INET_LOCAL_IN = 1
export const NF_INET_FORWARD = 2
export const NF_INET_LOCAL_OUT = 3
export const NF_INET_POST_ROUTING = 4

export const NF_DROP = 0
export const NF_ACCEPT = 1

export interface NfChain {
  readonly family: number
  readonly table: string
  readonly name: string
  /** Set for base chains. */
  readonly hook: NfHook | undefined
  /** Rules in it plus jumps to it from rules and map elements; what the kernel answers, not part of a request. */
  readonly use: number
}

export interface NfHook {
  /** `filter`, `nat` or `route` */
  readonly type: string
  /** NF_INET_*, which the bridge family shares */
  readonly number: number
  /** Lower numbers are called first. */
  readonly priority: number
  /** NF_ACCEPT or NF_DROP: what becomes of packets that no rule decides; undefined = the kernel's default, accept */
  readonly policy: number | undefined
}

/** For NEWCHAIN. */
export function encodeChain(chain: NfChain): Uint8Array {
  const writer = nfMessage(chain.family)
  writer.attrText(NFTA_CHAIN_TABLE, chain.table)
  writer.attrText(NFTA_CHAIN_NAME, chain.name)
  const hook = chain.hook
  if (hook !== undefined) encodeHook(writer, hook)
  return writer.finish()
}

function encodeHook(writer: Writer, hook: NfHook): void {
  writer.attrText(NFTA_CHAIN_TYPE, hook.type)
  writer.nested(NFTA_CHAIN_HOOK, () => {
    writer.attrU32be(NFTA_HOOK_HOOKNUM, hook.number)
    writer.attrU32be(NFTA_HOOK_PRIORITY, hook.priority < 0 ? hook.priority + 4294967296 : hook.priority)
  })
  if (hook.policy !== undefined) writer.attrU32be(NFTA_CHAIN_POLICY, hook.policy)
}

/** For GETCHAIN and DELCHAIN. */
export function encodeChainName(family: number, table: string, name: string): Uint8Array {
  return nfMessage(family).attrText(NFTA_CHAIN_TABLE, table).attrText(NFTA_CHAIN_NAME, name).finish()
}

export function decodeChain(payload: Uint8Array): NfChain {
  const message = decodeNfMessage(payload)
  let table = ''
  let name = ''
  let use = 0
  let type = ''
  let policy: number | undefined
  let hook: Attribute | undefined
  for (const attribute of attributes(message.rest, 'NFTA_CHAIN')) {
    if (attribute.type === NFTA_CHAIN_TABLE) table = readText(attribute, 'NFTA_CHAIN_TABLE')
    if (attribute.type === NFTA_CHAIN_NAME) name = readText(attribute, 'NFTA_CHAIN_NAME')
    if (attribute.type === NFTA_CHAIN_HOOK) hook = attribute
    if (attribute.type === NFTA_CHAIN_POLICY) policy = readU32be(attribute, 'NFTA_CHAIN_POLICY')
    if (attribute.type === NFTA_CHAIN_USE) use = readU32be(attribute, 'NFTA_CHAIN_USE')
    if (attribute.type === NFTA_CHAIN_TYPE) type = readText(attribute, 'NFTA_CHAIN_TYPE')
  }
  const decoded = hook === undefined ? undefined : decodeHook(hook, type, policy)
  return { family: message.family, table, name, hook: decoded, use }
}

function decodeHook(hook: Attribute, type: string, policy: number | undefined): NfHook {
  let number = 0
  let priority = 0
  for (const attribute of attributes(hook.value, 'NFTA_HOOK')) {
    if (attribute.type === NFTA_HOOK_HOOKNUM) number = readU32be(attribute, 'NFTA_HOOK_HOOKNUM')
    if (attribute.type === NFTA_HOOK_PRIORITY) {
      const unsigned = readU32be(attribute, 'NFTA_HOOK_PRIORITY')
      priority = unsigned >= 2147483648 ? unsigned - 4294967296 : unsigned
    }
  }
  return { type, number, priority, policy }
}
