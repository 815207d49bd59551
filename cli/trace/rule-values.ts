/** Values that rules compare with, as nft and iptables write them. */
import { formatAddress } from '../../lib/ip/address.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import type { RuleField } from './rule-fields.ts'

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' }
const ETHERTYPES: Readonly<Record<number, string>> = { 2048: 'ip', 2054: 'arp', 34525: 'ip6', 33024: 'vlan' }
const CT_STATES: Readonly<Record<number, string>> = {
  1: 'invalid',
  2: 'established',
  4: 'related',
  8: 'new',
  64: 'untracked'
}
/** linux/rtnetlink.h RTN_* */
const ADDRESS_TYPES = ['unspec', 'unicast', 'local', 'broadcast', 'anycast', 'multicast', 'blackhole']

/** @param mask of the bits that were compared; undefined = all */
export function valueText({ form, name }: RuleField, value: Uint8Array, mask: Uint8Array | undefined): string {
  switch (form) {
    case 'address':
      return addressText(value, mask, /(?:^|[ ])ip6 /.test(name) || value.length > 4 ? 16 : 4)
    case 'mac':
      return formatMac(value)
    case 'protocol':
      return PROTOCOLS[value[0] ?? 0] ?? String(value[0] ?? 0)
    case 'ethertype':
      return ETHERTYPES[numberOf(value, false)] ?? String(numberOf(value, false))
    case 'text':
      return nameText(value)
    case 'ct state':
      return bitNames(numberOf(value, true))
    case 'addrtype':
      return ADDRESS_TYPES[numberOf(value, true)] ?? String(numberOf(value, true))
    case 'host number':
      return String(numberOf(value, true))
    case 'network number':
      return String(numberOf(value, false))
  }
}

/** The names of bits: `established,related`. */
export function bitNames(bits: number): string {
  const names = Object.entries(CT_STATES).filter(([bit]) => (bits & Number(bit)) !== 0)
  return names.length === 0 ? String(bits) : names.map(([, name]) => name).join(',')
}

/** Whole addresses, and prefixes: of whole bytes by their length, others by a mask. */
function addressText(value: Uint8Array, mask: Uint8Array | undefined, width: 4 | 16): string {
  const bytes = new Uint8Array(width)
  bytes.set(value)
  const length = mask === undefined ? value.length * 8 : onesIn(mask)
  const address = formatAddress({ family: width === 4 ? 4 : 6, bytes })
  return length === width * 8 ? address : `${address}/${String(length)}`
}

function onesIn(mask: Uint8Array): number {
  let count = 0
  for (const byte of mask) for (let bit = 128; bit > 0; bit >>= 1) if ((byte & bit) !== 0) count += 1
  return count
}

/** An interface's name; one without its NUL is the beginning of names. */
function nameText(value: Uint8Array): string {
  const end = value.indexOf(0)
  return end >= 0 ? new TextDecoder().decode(value.subarray(0, end)) : `${new TextDecoder().decode(value)}*`
}

export function numberOf(value: Uint8Array, isHostOrder: boolean): number {
  let number = 0
  const bytes = isHostOrder ? [...value].reverse() : [...value]
  for (const byte of bytes) number = number * 256 + byte
  return number
}
