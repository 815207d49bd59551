/**
 * Conditions in the words of `nft`, as somebody writes them into a configuration:
 *
 *     ip saddr != { 10.0.0.0/8, 192.0.2.1-192.0.2.9 } iifname "eth*" meta mark & 0xff == 0x10
 *
 *     [ip|ip6] saddr|daddr [!=] ADDRESS|PREFIX|FIRST-LAST|{ … }        [meta] iifname|oifname [!=] NAME|{ … }
 *     tcp|udp|sctp sport|dport [!=] PORT|FIRST-LAST|{ … }              [meta] l4proto [!=] tcp|udp|sctp|{ … }
 *     [meta] mark [& MASK] [==|!=] NUMBER|{ … }                        ct state NAME[,NAME…]
 *     fib saddr|daddr type [!=] TYPE|{ … }
 *
 * One set in braces becomes one rule per member, a negated one a row of comparisons; nft makes an anonymous set of either.
 *
 * @source man 8 nft, "PAYLOAD EXPRESSIONS", "META EXPRESSIONS", "FIB EXPRESSIONS", "CONNTRACK EXPRESSIONS"
 */
import { parseAddress } from '../ip/address.ts'
import { parsePrefix } from '../ip/prefix.ts'
import type { Expression } from '../netlink/nf/expression.ts'
import { NFT_CMP_EQ, NFT_CMP_GTE, NFT_CMP_LTE, NFT_CMP_NEQ } from '../netlink/nf/expressions/cmp.ts'
import { NFT_CT_STATE } from '../netlink/nf/expressions/ct.ts'
import { NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, NFTA_FIB_F_SADDR } from '../netlink/nf/expressions/fib.ts'
import { NFT_META_MARK } from '../netlink/nf/expressions/meta.ts'
import { NFT_PAYLOAD_TRANSPORT_HEADER } from '../netlink/nf/expressions/payload.ts'
import { NFT_RANGE_NEQ } from '../netlink/nf/expressions/range.ts'
import { NFT_REG_1 } from '../netlink/nf/nf-tables.ts'
import { type NftFamily, nameField, nftFamily, portField } from './nft.ts'
import { hostOrder, loadField, matchAddress, matchAnyBit, matchProtocol, rule } from './rule.ts'

/** What words mean. */
export interface Matches {
  /** A packet meets the words when it meets one of these rows. */
  readonly alternatives: readonly (readonly Expression[])[]
  /** Which word is not understood; '' when all are. */
  readonly problem: string
}

/** Alternatives for one field. */
type Choices = readonly (readonly Expression[])[]

/** What a field is compared with. */
type Kind = 'saddr' | 'daddr' | 'port' | 'protocol' | 'name' | 'number' | 'type'

const EXPECTED: Readonly<Record<Kind, string>> = {
  saddr: 'an address or prefix of the family',
  daddr: 'an address or prefix of the family',
  port: 'a port',
  protocol: 'tcp, udp or sctp',
  name: "an interface's name",
  number: 'a number',
  type: 'a type of address such as local'
}
const NOTHING = new Uint8Array(0)

/** More rules than these are a mistake. */
const MOST = 64
const MARKS: readonly string[] = ['{', '}', ',', '!=', '==', '&']
const PROTOCOLS: readonly (readonly [string, number])[] = [
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132]
]
/** linux/netfilter/nf_conntrack_common.h, as nft names the bits */
const STATES: readonly (readonly [string, number])[] = [
  ['invalid', 1],
  ['established', 2],
  ['related', 4],
  ['new', 8],
  ['untracked', 64]
]
/** linux/rtnetlink.h RTN_*, by number */
const ADDRESS_TYPES = 'unspec unicast local broadcast anycast multicast blackhole unreachable prohibit'.split(' ')

/** The words one by one, and the first that made no sense. */
class Words {
  readonly #words: readonly string[]
  #at = 0
  problem = ''

  constructor(words: readonly string[]) {
    let text = words.join(' ')
    for (const mark of MARKS) text = text.split(mark).join(` ${mark} `)
    this.#words = text.split(' ').filter(word => word !== '')
  }

  isAtEnd(): boolean {
    return this.#at >= this.#words.length || this.problem !== ''
  }

  /** '' after the last one */
  next(): string {
    const word = this.#words[this.#at] ?? ''
    this.#at += 1
    return word
  }

  /** Whether the next word is this one, which then is over. */
  skip(word: string): boolean {
    const isThere = this.#words[this.#at] === word
    if (isThere) this.#at += 1
    return isThere
  }

  /** The word just read makes no sense. */
  refuse(expected: string): void {
    const word = this.#words[this.#at - 1]
    const found = word === undefined ? 'they end too early' : `${JSON.stringify(word)} is not understood`
    if (this.problem === '') this.problem = `${found}: ${expected} is expected`
  }

  refuseNext(expected: string): void {
    this.next()
    this.refuse(expected)
  }

  /** The next word if it is one of two. */
  either(one: string, other: string): string {
    const word = this.next()
    if (word !== one && word !== other) this.refuse(`${one} or ${other}`)
    return word
  }
}

/** @param words as they are on nft's command line, one or several to a text */
export function parseMatches(words: readonly string[], family: NftFamily): Matches {
  const list = new Words(words)
  let alternatives: Choices = [[]]
  while (!list.isAtEnd()) {
    const choices = readMatch(list, family)
    const product: (readonly Expression[])[] = []
    for (const row of alternatives) for (const choice of choices) product.push(rule([row, choice]))
    alternatives = product
    if (product.length > MOST) list.refuse(`a shorter list (${String(MOST)} rules at most)`)
  }
  return { alternatives, problem: list.problem }
}

function readMatch(list: Words, family: NftFamily): Choices {
  const first = list.next()
  const word = first === 'meta' ? list.next() : first
  switch (word) {
    case 'ip':
    case 'ip6': {
      if (word !== family) list.refuse(family)
      const side = list.either('saddr', 'daddr') === 'saddr' ? 'saddr' : 'daddr'
      return readChoices(list, side, [loadField(family, side, NFT_REG_1)], family)
    }
    case 'tcp':
    case 'udp':
    case 'sctp': {
      const offset = list.either('sport', 'dport') === 'sport' ? 0 : 2
      const base = NFT_PAYLOAD_TRANSPORT_HEADER
      const load: Expression = { kind: 'payload', register: NFT_REG_1, base, offset, length: 2 }
      return readChoices(list, 'port', rule([matchProtocol(numberOf(PROTOCOLS, word)), [load]]), family)
    }
    case 'l4proto':
      return readChoices(list, 'protocol', [loadField(family, 'l4proto', NFT_REG_1)], family)
    case 'iifname':
      return readChoices(list, 'name', [loadField(family, 'iifname', NFT_REG_1)], family)
    case 'oifname':
      return readChoices(list, 'name', [loadField(family, 'oifname', NFT_REG_1)], family)
    case 'mark':
      return readMark(list, family)
    case 'ct':
      return readState(list)
    case 'fib': {
      const flags = list.either('saddr', 'daddr') === 'saddr' ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR
      if (!list.skip('type')) list.refuseNext('type')
      const load: Expression = { kind: 'fib', register: NFT_REG_1, result: NFT_FIB_RESULT_ADDRTYPE, flags }
      return readChoices(list, 'type', [load], family)
    }
  }
  list.refuse('ip saddr, iifname, tcp dport, meta mark, ct state, fib saddr type or their like')
  return []
}

function readMark(list: Words, family: NftFamily): Choices {
  const load: Expression[] = [{ kind: 'meta', key: NFT_META_MARK, register: NFT_REG_1, isStore: false }]
  if (list.skip('&') || list.skip('and')) {
    const mask = valueOf('number', list.next(), family)
    if (mask.length === 0) list.refuse('a number')
    load.push({ kind: 'bitwise', register: NFT_REG_1, mask, xor: hostOrder(0) })
  }
  return readChoices(list, 'number', load, family)
}

/** `established,related`: one of these bits. */
function readState(list: Words): Choices {
  if (!list.skip('state')) list.refuseNext('state')
  let bits = 0
  do {
    const bit = numberOf(STATES, list.next())
    if (bit === 0) list.refuse('a state of a connection')
    bits += bit
  } while (list.skip(','))
  return [matchAnyBit(NFT_CT_STATE, bits)]
}

/** @param load what brings the field into the first register */
function readChoices(list: Words, kind: Kind, load: readonly Expression[], family: NftFamily): Choices {
  const isNegated = list.skip('!=') || list.skip('ne')
  if (!isNegated && !list.skip('==')) list.skip('eq')
  const isSet = list.skip('{')
  const choices: (readonly Expression[])[] = []
  do {
    const comparison = compare({ kind, load, isNegated, family }, list.next())
    if (comparison.length === 0) list.refuse(EXPECTED[kind])
    choices.push(comparison)
  } while (isSet && list.skip(','))
  if (isSet && !list.skip('}')) list.refuseNext('} or ,')
  return isNegated ? [rule(choices)] : choices
}

/** What the values of a condition are compared with. */
interface Comparison {
  readonly kind: Kind
  readonly load: readonly Expression[]
  readonly isNegated: boolean
  readonly family: NftFamily
}

/** @returns nothing when the word is no such value */
function compare({ kind, load, isNegated, family }: Comparison, word: string): readonly Expression[] {
  const isAddress = kind === 'saddr' || kind === 'daddr'
  if (isAddress && word.indexOf('/') >= 0) {
    const prefix = parsePrefix(word)
    if (prefix === undefined || nftFamily(prefix.address.family) !== family) return []
    return matchAddress(kind, prefix, isNegated)
  }
  const dash = isAddress || kind === 'port' ? word.indexOf('-') : -1
  const first = valueOf(kind, dash < 0 ? word : word.slice(0, dash), family)
  if (first.length === 0) return []
  if (dash < 0) return rule([load, [comparison(isNegated ? NFT_CMP_NEQ : NFT_CMP_EQ, first)]])
  const last = valueOf(kind, word.slice(dash + 1), family)
  if (last.length === 0) return []
  if (!isNegated) return rule([load, [comparison(NFT_CMP_GTE, first), comparison(NFT_CMP_LTE, last)]])
  return rule([load, [{ kind: 'range', register: NFT_REG_1, operator: NFT_RANGE_NEQ, first, last }]])
}

function comparison(operator: number, value: Uint8Array): Expression {
  return { kind: 'cmp', register: NFT_REG_1, operator, value }
}

/** The bytes as they are in a register; none when the word is no such value. */
function valueOf(kind: Kind, word: string, family: NftFamily): Uint8Array {
  switch (kind) {
    case 'saddr':
    case 'daddr': {
      const address = parseAddress(word)
      return address === undefined || nftFamily(address.family) !== family ? NOTHING : address.bytes
    }
    case 'port': {
      const isPort = /^[0-9]{1,5}$/.test(word) && Number(word) <= 65_535
      return isPort ? portField(Number(word)) : NOTHING
    }
    case 'number':
      if (/^0x[0-9a-fA-F]{1,8}$/.test(word)) return hostOrder(parseInt(word.slice(2), 16))
      return /^[0-9]{1,9}$/.test(word) ? hostOrder(Number(word)) : NOTHING
    case 'name': {
      const name = word.split('"').join('')
      if (name === '' || name.length > 15) return NOTHING
      // As many bytes as there are before the star.
      return name.endsWith('*') ? nameField(name).slice(0, name.length - 1) : nameField(name)
    }
    case 'protocol': {
      const protocol = numberOf(PROTOCOLS, word)
      return protocol === 0 ? NOTHING : new Uint8Array([protocol])
    }
    case 'type': {
      const type = ADDRESS_TYPES.indexOf(word)
      return type < 0 ? NOTHING : hostOrder(type)
    }
  }
}

/** 0 for a name that is not in the list */
function numberOf(list: readonly (readonly [string, number])[], name: string): number {
  return list.find(one => one[0] === name)?.[1] ?? 0
}
