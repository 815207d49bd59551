/**
 * What rules compare, in nft's words: bytes of the packet by their place, what the kernel knows of the packet and of its
 * connection by their numbers.
 *
 * @source linux/netfilter/nf_tables.h enum nft_meta_keys, enum nft_ct_keys; man 8 nft
 */

/** How a value is written: an address, a port, text up to its NUL, a number in either byte order, names of bits. */
type Form =
  | 'address'
  | 'network number'
  | 'host number'
  | 'text'
  | 'mac'
  | 'protocol'
  | 'ethertype'
  | 'ct state'
  | 'addrtype'

export interface RuleField {
  /** In nft's words. */
  readonly name: string
  readonly form: Form
}

const META: Readonly<Record<number, RuleField>> = {
  0: { name: 'meta length', form: 'host number' },
  1: { name: 'meta protocol', form: 'ethertype' },
  2: { name: 'meta priority', form: 'host number' },
  3: { name: 'meta mark', form: 'host number' },
  4: { name: 'iif', form: 'host number' },
  5: { name: 'oif', form: 'host number' },
  6: { name: 'iifname', form: 'text' },
  7: { name: 'oifname', form: 'text' },
  8: { name: 'iiftype', form: 'host number' },
  9: { name: 'oiftype', form: 'host number' },
  10: { name: 'meta skuid', form: 'host number' },
  11: { name: 'meta skgid', form: 'host number' },
  12: { name: 'meta nftrace', form: 'host number' },
  15: { name: 'meta nfproto', form: 'host number' },
  16: { name: 'meta l4proto', form: 'protocol' },
  17: { name: 'meta ibrname', form: 'text' },
  18: { name: 'meta obrname', form: 'text' },
  19: { name: 'meta pkttype', form: 'host number' }
}

const CT: Readonly<Record<number, RuleField>> = {
  0: { name: 'ct state', form: 'ct state' },
  2: { name: 'ct status', form: 'host number' },
  3: { name: 'ct mark', form: 'host number' },
  8: { name: 'ct saddr', form: 'address' },
  9: { name: 'ct daddr', form: 'address' },
  10: { name: 'ct protocol', form: 'protocol' },
  11: { name: 'ct proto-src', form: 'network number' },
  12: { name: 'ct proto-dst', form: 'network number' },
  19: { name: 'ct ip saddr', form: 'address' },
  20: { name: 'ct ip daddr', form: 'address' },
  21: { name: 'ct ip6 saddr', form: 'address' },
  22: { name: 'ct ip6 daddr', form: 'address' }
}

export function metaField(key: number): RuleField {
  return META[key] ?? { name: `meta key ${String(key)}`, form: 'host number' }
}

export function ctField(key: number): RuleField {
  return CT[key] ?? { name: `ct key ${String(key)}`, form: 'host number' }
}

/** `base offset`, of a width at most. */
interface Place extends RuleField {
  readonly base: number
  readonly offset: number
  readonly width: number
  /** Only where the table sees this family; both when absent. */
  readonly family?: 4 | 6
}

const PLACES: readonly Place[] = [
  { base: 0, offset: 0, width: 6, name: 'ether daddr', form: 'mac' },
  { base: 0, offset: 6, width: 6, name: 'ether saddr', form: 'mac' },
  { base: 0, offset: 12, width: 2, name: 'ether type', form: 'ethertype' },
  { base: 1, offset: 9, width: 1, name: 'ip protocol', form: 'protocol', family: 4 },
  { base: 1, offset: 8, width: 1, name: 'ip ttl', form: 'network number', family: 4 },
  { base: 1, offset: 12, width: 4, name: 'ip saddr', form: 'address', family: 4 },
  { base: 1, offset: 16, width: 4, name: 'ip daddr', form: 'address', family: 4 },
  { base: 1, offset: 6, width: 1, name: 'ip6 nexthdr', form: 'protocol', family: 6 },
  { base: 1, offset: 7, width: 1, name: 'ip6 hoplimit', form: 'network number', family: 6 },
  { base: 1, offset: 8, width: 16, name: 'ip6 saddr', form: 'address', family: 6 },
  { base: 1, offset: 24, width: 16, name: 'ip6 daddr', form: 'address', family: 6 },
  { base: 2, offset: 0, width: 2, name: 'th sport', form: 'network number' },
  { base: 2, offset: 2, width: 2, name: 'th dport', form: 'network number' },
  { base: 2, offset: 0, width: 1, name: 'icmp type', form: 'network number' }
]
const BASES = ['ll', 'nh', 'th']

/** @param family of the packet */
export function payloadField(family: 4 | 6, base: number, offset: number, length: number): RuleField {
  const place = PLACES.find(
    one =>
      one.base === base &&
      one.offset === offset &&
      // A prefix of whole bytes is compared as so many bytes.
      (one.form === 'address' ? length <= one.width : length === one.width) &&
      (one.family ?? family) === family
  )
  if (place !== undefined) return place
  const name = `@${BASES[base] ?? 'ih'},${String(offset * 8)},${String(length * 8)}`
  return { name, form: 'network number' }
}
