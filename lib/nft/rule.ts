/**
 * The parts that rules are made of, each documented as the nft text that it means. A rule is parts in a row:
 *
 *     rule([matchName('iifname', 'cni0'), verdict('return')])        iifname "cni0" return
 */
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'
import { networkOf } from '../ip/prefix.ts'
import type { VerdictName } from '../netlink/nf/data.ts'
import type { Expression } from '../netlink/nf/expression.ts'
import { NFT_CMP_EQ, NFT_CMP_NEQ } from '../netlink/nf/expressions/cmp.ts'
import {
  CT_STATE_ESTABLISHED,
  CT_STATE_RELATED,
  IP_CT_DIR_ORIGINAL,
  IPS_DST_NAT,
  NFT_CT_DST_IP,
  NFT_CT_DST_IP6,
  NFT_CT_PROTO_DST,
  NFT_CT_STATE,
  NFT_CT_STATUS
} from '../netlink/nf/expressions/ct.ts'
import { NFT_DYNSET_OP_ADD } from '../netlink/nf/expressions/dynset.ts'
import { NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR } from '../netlink/nf/expressions/fib.ts'
import { NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_MARK, NFT_META_OIFNAME } from '../netlink/nf/expressions/meta.ts'
import { NFT_NAT_DNAT, NFT_NAT_SNAT } from '../netlink/nf/expressions/nat.ts'
import { NFT_NG_INCREMENTAL } from '../netlink/nf/expressions/numgen.ts'
import {
  NFT_PAYLOAD_LL_HEADER,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER
} from '../netlink/nf/expressions/payload.ts'
import { NFT_REJECT_ICMP_UNREACH, NFT_REJECT_TCP_RST } from '../netlink/nf/expressions/reject.ts'
import { NFT_REG_1, NFT_REG_VERDICT, registerAt } from '../netlink/nf/nf-tables.ts'
import { NFPROTO_IPV4, NFPROTO_IPV6 } from '../netlink/nf/nfnetlink.ts'
import { type NftFamily, nameField } from './nft.ts'

/** What of a packet or of its connection a key is made of, in nft's words. */
export type PacketField =
  | 'saddr'
  | 'daddr'
  | 'l4proto'
  | 'sport'
  | 'dport'
  | 'iifname'
  | 'oifname'
  | 'ether saddr'
  | 'ct original daddr'
  | 'ct original proto-dst'

const RTN_LOCAL = 2
const IPV4_SOURCE = 12
const IPV4_DESTINATION = 16
const IPV6_SOURCE = 8
const IPV6_DESTINATION = 24
const ETHER_SOURCE = 6
const SOURCE_PORT = 0
const DESTINATION_PORT = 2
const PORT_UNREACHABLE = 3
const PORT_UNREACHABLE_6 = 4

export function rule(parts: readonly (readonly Expression[])[]): readonly Expression[] {
  const expressions: Expression[] = []
  for (const part of parts) for (const expression of part) expressions.push(expression)
  return expressions
}

/** `accept`, `drop`, `return` */
export function verdict(name: VerdictName): readonly Expression[] {
  return [{ kind: 'immediate', register: NFT_REG_VERDICT, value: NO_BYTES, verdict: { name, chain: '' } }]
}

/** `jump chain` */
export function jump(chain: string): readonly Expression[] {
  return [{ kind: 'immediate', register: NFT_REG_VERDICT, value: NO_BYTES, verdict: { name: 'jump', chain } }]
}

/** `masquerade` */
export function masquerade(): readonly Expression[] {
  return [{ kind: 'masq', flags: 0 }]
}

/** `snat ip to 192.0.2.1` */
export function translateSource(address: IpAddress): readonly Expression[] {
  return [
    { kind: 'immediate', register: NFT_REG_1, value: address.bytes, verdict: undefined },
    {
      kind: 'nat',
      type: NFT_NAT_SNAT,
      family: address.family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6,
      addressRegister: NFT_REG_1,
      portRegister: undefined
    }
  ]
}

/** `reject with tcp reset`: the sender's connect says at once that it is refused. */
export function rejectWithReset(): readonly Expression[] {
  return [{ kind: 'reject', type: NFT_REJECT_TCP_RST, code: 0 }]
}

/** `reject with icmp port-unreachable`, `reject with icmpv6 port-unreachable` */
export function rejectUnreachable(family: NftFamily): readonly Expression[] {
  return [
    { kind: 'reject', type: NFT_REJECT_ICMP_UNREACH, code: family === 'ip' ? PORT_UNREACHABLE : PORT_UNREACHABLE_6 }
  ]
}

const NO_BYTES = new Uint8Array(0)

/** `ip saddr 10.4.0.0/24`, `ip6 daddr != fd00::/64`. Whole bytes are compared as they are, the rest through a mask. */
export function matchAddress(side: 'saddr' | 'daddr', prefix: IpPrefix, isNegated = false): readonly Expression[] {
  const network = networkOf(prefix)
  const whole = prefix.length % 8 === 0 && prefix.length > 0
  const length = whole ? prefix.length / 8 : network.address.bytes.length
  const load = loadField(network.address.family === 4 ? 'ip' : 'ip6', side, NFT_REG_1)
  const operator = isNegated ? NFT_CMP_NEQ : NFT_CMP_EQ
  const value = network.address.bytes.slice(0, length)
  const compare: Expression = { kind: 'cmp', register: NFT_REG_1, operator, value }
  if (load.kind !== 'payload') return [load, compare]
  const part: Expression = { ...load, length }
  if (whole) return [part, compare]
  return [part, { kind: 'bitwise', register: NFT_REG_1, mask: maskOf(prefix), xor: new Uint8Array(length) }, compare]
}

function maskOf(prefix: IpPrefix): Uint8Array {
  const mask = new Uint8Array(prefix.address.bytes.length)
  for (let bit = 0; bit < prefix.length; bit += 1) {
    mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (128 >> (bit & 7))
  }
  return mask
}

/** `iifname "cni0"`, `oifname != "lo"` */
export function matchName(side: 'iifname' | 'oifname', name: string, isNegated = false): readonly Expression[] {
  const operator = isNegated ? NFT_CMP_NEQ : NFT_CMP_EQ
  return [loadField('ip', side, NFT_REG_1), { kind: 'cmp', register: NFT_REG_1, operator, value: nameField(name) }]
}

/** `meta l4proto tcp` */
export function matchProtocol(protocol: number): readonly Expression[] {
  const value = new Uint8Array([protocol])
  return [loadField('ip', 'l4proto', NFT_REG_1), { kind: 'cmp', register: NFT_REG_1, operator: NFT_CMP_EQ, value }]
}

/** `fib daddr type local` */
export function matchLocalDestination(): readonly Expression[] {
  return [
    { kind: 'fib', register: NFT_REG_1, result: NFT_FIB_RESULT_ADDRTYPE, flags: NFTA_FIB_F_DADDR },
    { kind: 'cmp', register: NFT_REG_1, operator: NFT_CMP_EQ, value: hostOrder(RTN_LOCAL) }
  ]
}

/** `ct state established,related` */
export function matchKnownConnection(): readonly Expression[] {
  return matchAnyBit(NFT_CT_STATE, CT_STATE_ESTABLISHED | CT_STATE_RELATED)
}

/** `ct status dnat` */
export function matchTranslatedDestination(): readonly Expression[] {
  return matchAnyBit(NFT_CT_STATUS, IPS_DST_NAT)
}

/** One of these bits, such as of NFT_CT_STATE. */
export function matchAnyBit(key: number, bits: number): readonly Expression[] {
  return [
    { kind: 'ct', key, register: NFT_REG_1, direction: undefined },
    { kind: 'bitwise', register: NFT_REG_1, mask: hostOrder(bits), xor: hostOrder(0) },
    { kind: 'cmp', register: NFT_REG_1, operator: NFT_CMP_NEQ, value: hostOrder(0) }
  ]
}

/** `meta mark & 0x2000 == 0x2000` */
export function matchMark(bits: number): readonly Expression[] {
  return [
    { kind: 'meta', key: NFT_META_MARK, register: NFT_REG_1, isStore: false },
    { kind: 'bitwise', register: NFT_REG_1, mask: hostOrder(bits), xor: hostOrder(0) },
    { kind: 'cmp', register: NFT_REG_1, operator: NFT_CMP_EQ, value: hostOrder(bits) }
  ]
}

/** `meta mark set meta mark | 0x2000` */
export function setMark(bits: number): readonly Expression[] {
  return changeMark(bits, bits)
}

/** `meta mark set meta mark & 0xffffdfff` */
export function clearMark(bits: number): readonly Expression[] {
  return changeMark(bits, 0)
}

function changeMark(without: number, plus: number): readonly Expression[] {
  return [
    { kind: 'meta', key: NFT_META_MARK, register: NFT_REG_1, isStore: false },
    { kind: 'bitwise', register: NFT_REG_1, mask: hostOrder(4294967295 - without), xor: hostOrder(plus) },
    { kind: 'meta', key: NFT_META_MARK, register: NFT_REG_1, isStore: true }
  ]
}

/** `iifname @set`, `iifname . ether saddr != @set` */
export function matchSet(
  family: NftFamily,
  fields: readonly PacketField[],
  set: string,
  isNegated = false
): readonly Expression[] {
  return [...loadKey(family, fields), lookup(set, undefined, isNegated)]
}

/** `add @set { ct original ip daddr . ip daddr counter }`; the set is dynamic */
export function countIn(family: NftFamily, fields: readonly PacketField[], set: string): readonly Expression[] {
  const count: Expression = {
    kind: 'dynset',
    set,
    setId: 0,
    register: NFT_REG_1,
    operation: NFT_DYNSET_OP_ADD,
    counts: true
  }
  return [...loadKey(family, fields), count]
}

/** `ip saddr vmap @map` */
export function verdictFrom(family: NftFamily, fields: readonly PacketField[], map: string): readonly Expression[] {
  return [...loadKey(family, fields), lookup(map, NFT_REG_VERDICT, false)]
}

/** `dnat ip to meta l4proto . th dport map @map`; the map's data are an address, with `hasPort` also a port */
export function translateFrom(
  family: NftFamily,
  fields: readonly PacketField[],
  map: string,
  hasPort: boolean
): readonly Expression[] {
  return [
    ...loadKey(family, fields),
    lookup(map, NFT_REG_1, false),
    {
      kind: 'nat',
      type: NFT_NAT_DNAT,
      family: family === 'ip' ? NFPROTO_IPV4 : NFPROTO_IPV6,
      addressRegister: NFT_REG_1,
      portRegister: hasPort ? registerAt(family === 'ip' ? 1 : 4) : undefined
    }
  ]
}

/** `snat ip to meta l4proto . ct original proto-dst map @map`; the map's data are an address */
export function translateSourceFrom(
  family: NftFamily,
  fields: readonly PacketField[],
  map: string
): readonly Expression[] {
  return [
    ...loadKey(family, fields),
    lookup(map, NFT_REG_1, false),
    {
      kind: 'nat',
      type: NFT_NAT_SNAT,
      family: family === 'ip' ? NFPROTO_IPV4 : NFPROTO_IPV6,
      addressRegister: NFT_REG_1,
      portRegister: undefined
    }
  ]
}

/** Which of `count` a connection gets: each in its turn, or the one that follows from its source address. */
export type Choice = 'numgen inc' | 'jhash saddr'

/**
 * `dnat ip to ip daddr . numgen inc mod 5 map @map`, `dnat ip to ip daddr . jhash ip saddr mod 251 seed 0x1 map @map`; the
 * map's data are an address, with `hasPort` also a port
 */
export function translateToOneOf(
  family: NftFamily,
  fields: readonly PacketField[],
  choice: { readonly by: Choice; readonly count: number },
  target: { readonly map: string; readonly hasPort: boolean }
): readonly Expression[] {
  let slot = 0
  for (const field of fields) slot += slotsOf(family, field)
  const width = family === 'ip' ? 1 : 4
  // Behind the key, at a register of its own.
  const source = 12
  const chosen: readonly Expression[] =
    choice.by === 'numgen inc'
      ? [{ kind: 'numgen', register: registerAt(slot), modulus: choice.count, type: NFT_NG_INCREMENTAL }]
      : [
          loadField(family, 'saddr', registerAt(source)),
          {
            kind: 'hash',
            sourceRegister: registerAt(source),
            length: 4 * width,
            register: registerAt(slot),
            modulus: choice.count,
            seed: SEED
          }
        ]
  return [
    ...loadKey(family, fields),
    ...chosen,
    lookup(target.map, NFT_REG_1, false),
    {
      kind: 'nat',
      type: NFT_NAT_DNAT,
      family: family === 'ip' ? NFPROTO_IPV4 : NFPROTO_IPV6,
      addressRegister: NFT_REG_1,
      portRegister: target.hasPort ? registerAt(width) : undefined
    }
  ]
}

/** The same everywhere: a source gets the same one from whichever host it comes in by. */
const SEED = 1

function lookup(set: string, dataRegister: number | undefined, isInverted: boolean): Expression {
  return { kind: 'lookup', set, setId: 0, register: NFT_REG_1, dataRegister, isInverted }
}

/** A concatenation: each field in the registers after the one before, at a multiple of 4 bytes. */
function loadKey(family: NftFamily, fields: readonly PacketField[]): readonly Expression[] {
  const expressions: Expression[] = []
  let slot = 0
  for (const field of fields) {
    expressions.push(loadField(family, field, registerAt(slot)))
    slot += slotsOf(family, field)
  }
  return expressions
}

function slotsOf(family: NftFamily, field: PacketField): number {
  if (field === 'iifname' || field === 'oifname') return 4
  if (field === 'ether saddr') return 2
  if (field === 'saddr' || field === 'daddr' || field === 'ct original daddr') return family === 'ip' ? 1 : 4
  return 1
}

/** A field of the packet into a register. */
export function loadField(family: NftFamily, field: PacketField, register: number): Expression {
  const isIp = family === 'ip'
  switch (field) {
    case 'saddr':
      return network(isIp ? IPV4_SOURCE : IPV6_SOURCE, isIp ? 4 : 16, register)
    case 'daddr':
      return network(isIp ? IPV4_DESTINATION : IPV6_DESTINATION, isIp ? 4 : 16, register)
    case 'sport':
      return { kind: 'payload', register, base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: SOURCE_PORT, length: 2 }
    case 'ct original daddr':
      return original(isIp ? NFT_CT_DST_IP : NFT_CT_DST_IP6, register)
    case 'ct original proto-dst':
      return original(NFT_CT_PROTO_DST, register)
    case 'dport':
      return { kind: 'payload', register, base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: DESTINATION_PORT, length: 2 }
    case 'ether saddr':
      return { kind: 'payload', register, base: NFT_PAYLOAD_LL_HEADER, offset: ETHER_SOURCE, length: 6 }
    case 'l4proto':
      return { kind: 'meta', key: NFT_META_L4PROTO, register, isStore: false }
    case 'iifname':
      return { kind: 'meta', key: NFT_META_IIFNAME, register, isStore: false }
    case 'oifname':
      return { kind: 'meta', key: NFT_META_OIFNAME, register, isStore: false }
  }
}

/** As it was before any translation. */
function original(key: number, register: number): Expression {
  return { kind: 'ct', key, register, direction: IP_CT_DIR_ORIGINAL }
}

function network(offset: number, length: number, register: number): Expression {
  return { kind: 'payload', register, base: NFT_PAYLOAD_NETWORK_HEADER, offset, length }
}

/** Numbers that the kernel keeps in its own byte order. */
export function hostOrder(value: number): Uint8Array {
  return new Uint8Array([value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24])
}
