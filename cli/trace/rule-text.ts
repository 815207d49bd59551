/** Rules of nf_tables as a person reads them: in nft's words, or in those of iptables where iptables made them. */
import type { Expression } from '../../lib/netlink/nf/expression.ts'
import { NFT_CMP_EQ, NFT_CMP_NEQ } from '../../lib/netlink/nf/expressions/cmp.ts'
import { NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR } from '../../lib/netlink/nf/expressions/fib.ts'
import { NFT_NAT_SNAT } from '../../lib/netlink/nf/expressions/nat.ts'
import { NFT_REJECT_TCP_RST } from '../../lib/netlink/nf/expressions/reject.ts'
import { NFT_REG_VERDICT } from '../../lib/netlink/nf/nf-tables.ts'
import { ctField, metaField, payloadField, type RuleField } from './rule-fields.ts'
import { bitNames, numberOf, valueText } from './rule-values.ts'
import { matchWords, targetWords } from './xtables.ts'

export type Dialect = 'nft' | 'iptables'

/** What a register holds: a field of the packet, maybe masked, or a constant. */
interface Held {
  readonly field: RuleField | undefined
  readonly mask?: Uint8Array
  /** What is turned over behind the mask. */
  readonly xor?: Uint8Array
  readonly constant?: Uint8Array
}

const IPTABLES_FLAGS: Readonly<Record<string, string>> = {
  'ip saddr': '-s',
  'ip6 saddr': '-s',
  'ip daddr': '-d',
  'ip6 daddr': '-d',
  iifname: '-i',
  oifname: '-o',
  'meta l4proto': '-p',
  'ip protocol': '-p',
  'th sport': '--sport',
  'th dport': '--dport',
  'ct state': '-m conntrack --ctstate',
  'meta mark': '-m mark --mark',
  'fib daddr type': '-m addrtype --dst-type',
  'fib saddr type': '-m addrtype --src-type'
}
const OPERATORS: Readonly<Record<number, string>> = { 0: '', 1: '!= ', 2: '< ', 3: '<= ', 4: '> ', 5: '>= ' }

/** @param family of the packets that it sees */
export function ruleText(expressions: readonly Expression[], family: 4 | 6, dialect: Dialect, comment = ''): string {
  const reader = new RuleReader(family, dialect)
  const words = expressions.map(expression => reader.read(expression)).filter(text => text !== '')
  const said = comment === '' ? '' : dialect === 'nft' ? `comment ${JSON.stringify(comment)}` : ''
  return [...words, said].filter(text => text !== '').join(' ')
}

class RuleReader {
  readonly #family: 4 | 6
  readonly #dialect: Dialect
  readonly #registers = new Map<number, Held>()
  /** Registers that were loaded and not used yet, in their order: the parts of a key. */
  #key: number[] = []

  constructor(family: 4 | 6, dialect: Dialect) {
    this.#family = family
    this.#dialect = dialect
  }

  /** @returns '' for what only prepares another */
  read(one: Expression): string {
    switch (one.kind) {
      case 'meta':
        return one.isStore
          ? this.#store(metaField(one.key).name, one.register)
          : this.#load(one.register, metaField(one.key))
      case 'ct':
        return this.#load(one.register, ctField(one.key))
      case 'payload':
        return this.#load(one.register, payloadField(this.#family, one.base, one.offset, one.length))
      case 'fib':
        return this.#load(one.register, fibField(one.result, one.flags))
      case 'bitwise':
        return this.#mask(one.register, one.mask, one.xor)
      case 'cmp':
        return this.#compare(one.register, one.operator, one.value)
      case 'range':
        return `${this.#nameOf(one.register)} ${one.operator === 1 ? '!= ' : ''}${this.#value(one.register, one.first)}-${this.#value(one.register, one.last)}`
      case 'lookup':
        return this.#lookup(one)
      case 'dynset':
        return this.#dynset(one)
      case 'immediate':
        return this.#immediate(one)
      default:
        return this.#action(one)
    }
  }

  #load(register: number, field: RuleField): string {
    this.#registers.set(register, { field })
    this.#key.push(register)
    return ''
  }

  #store(name: string, register: number): string {
    const held = this.#registers.get(register)
    this.#key = []
    const value = held?.constant === undefined ? this.#computed(register) : String(numberOf(held.constant, true))
    return this.#dialect === 'nft' ? `${name} set ${value}` : `-j MARK --set-xmark ${value}`
  }

  /** `meta mark | 0x2000`, `meta mark & 0xffffdfff` */
  #computed(register: number): string {
    const held = this.#registers.get(register)
    const name = this.#nameOf(register)
    if (held?.mask === undefined) return name
    const plus = numberOf(held.xor ?? held.mask, true)
    return plus === 0 ? `${name} & ${hex(held.mask)}` : `${name} | 0x${plus.toString(16)}`
  }

  #mask(register: number, mask: Uint8Array, xor: Uint8Array): string {
    const held = this.#registers.get(register)
    this.#registers.set(register, { field: held?.field, mask, xor })
    return ''
  }

  #compare(register: number, operator: number, value: Uint8Array): string {
    const held = this.#registers.get(register)
    this.#key = []
    const name = this.#nameOf(register)
    // `ct state established,related`: any of these bits.
    const isBits = held?.mask !== undefined && operator === NFT_CMP_NEQ && value.every(byte => byte === 0)
    const bits = isBits && held.mask !== undefined ? held.mask : value
    const text =
      isBits && held?.field?.form === 'ct state' ? bitNames(numberOf(bits, true)) : this.#value(register, bits)
    const isNot = operator === NFT_CMP_NEQ && !isBits
    if (held?.mask !== undefined && held.field?.form === 'host number' && !isBits)
      return this.#dialect === 'nft'
        ? `${name} & ${hex(held.mask)} ${isNot ? '!=' : '=='} ${hex(value)}`
        : `${isNot ? '! ' : ''}${name} ${hex(value)}/${hex(held.mask)}`
    if (this.#dialect === 'nft') return `${name} ${isNot ? '!= ' : isBits ? '' : (OPERATORS[operator] ?? '')}${text}`
    const shown = held?.field?.form === 'text' ? text.replace(/\*$/, '+') : text
    const words = held?.field?.form === 'ct state' ? shown.toUpperCase() : shown
    return `${isNot ? '! ' : ''}${name} ${operator === NFT_CMP_EQ || isBits || isNot ? '' : (OPERATORS[operator] ?? '')}${words}`
  }

  #lookup(one: Extract<Expression, { kind: 'lookup' }>): string {
    const key = this.#key.map(register => this.#nameOf(register)).join(' . ')
    this.#key = []
    // Sets without a name of their own are written where they are used.
    const set = one.set.startsWith('__') ? '{ ... }' : `@${one.set}`
    if (one.dataRegister === undefined) return `${key} ${one.isInverted ? '!= ' : ''}${set}`
    if (one.dataRegister === NFT_REG_VERDICT) return `${key} vmap ${set}`
    this.#registers.set(one.dataRegister, { field: { name: `${key} map ${set}`, form: 'network number' } })
    return ''
  }

  /** `add @sent { ct original ip daddr . ip daddr counter }` */
  #dynset(one: Extract<Expression, { kind: 'dynset' }>): string {
    const key = this.#key.map(register => this.#nameOf(register)).join(' . ')
    this.#key = []
    const verb = ['add', 'update', 'delete'][one.operation] ?? 'add'
    return `${verb} @${one.set} { ${key}${one.counts ? ' counter' : ''} }`
  }

  #immediate({ register, value, verdict }: Extract<Expression, { kind: 'immediate' }>): string {
    if (verdict === undefined) {
      this.#registers.set(register, { field: undefined, constant: value })
      return ''
    }
    const { name, chain } = verdict
    if (this.#dialect === 'nft') return chain === '' ? name : `${name} ${chain}`
    if (chain === '') return name === 'continue' ? '' : `-j ${name.toUpperCase()}`
    return `${name === 'goto' ? '-g' : '-j'} ${chain}`
  }

  #action(one: Expression): string {
    const isNft = this.#dialect === 'nft'
    switch (one.kind) {
      case 'counter':
        return isNft ? 'counter' : ''
      case 'masq':
        return isNft ? 'masquerade' : '-j MASQUERADE'
      case 'reject':
        return isNft ? `reject${one.type === NFT_REJECT_TCP_RST ? ' with tcp reset' : ''}` : '-j REJECT'
      case 'redir':
        return isNft ? `redirect${this.#portText(one.portRegister, ' to ')}` : '-j REDIRECT'
      case 'nat':
        return this.#nat(one)
      case 'limit':
        return isNft ? `limit rate ${String(one.rate)} per ${String(one.unit)} s` : '-m limit'
      case 'numgen':
        return this.#load(one.register, { name: `numgen mod ${String(one.modulus)}`, form: 'host number' })
      case 'hash':
        return this.#load(one.register, { name: `jhash mod ${String(one.modulus)}`, form: 'host number' })
      case 'other':
        // It turns bytes round for the expression behind it.
        if (one.name === 'byteorder') return ''
        return one.name === 'match'
          ? matchWords(one.attributes)
          : one.name === 'target'
            ? targetWords(one.attributes)
            : one.name
      default:
        return one.kind
    }
  }

  #nat(one: Extract<Expression, { kind: 'nat' }>): string {
    const held = this.#registers.get(one.addressRegister)
    const address = held?.constant === undefined ? (held?.field?.name ?? '') : this.#addressOf(held.constant)
    const target = `${address}${held?.constant === undefined ? '' : this.#portText(one.portRegister, '')}`
    const verb = one.type === NFT_NAT_SNAT ? 'snat' : 'dnat'
    if (this.#dialect === 'nft') return `${verb} to ${target}`
    return `-j ${verb.toUpperCase()} --to-${verb === 'snat' ? 'source' : 'destination'} ${target}`
  }

  #addressOf(bytes: Uint8Array): string {
    return valueText({ name: '', form: 'address' }, bytes.slice(0, this.#family === 4 ? 4 : 16), undefined)
  }

  #portText(register: number | undefined, before: string): string {
    const port = register === undefined ? undefined : this.#registers.get(register)?.constant
    return port === undefined ? '' : `${before}:${String(numberOf(port.slice(0, 2), false))}`
  }

  #nameOf(register: number): string {
    const name = this.#registers.get(register)?.field?.name ?? `reg ${String(register)}`
    return this.#dialect === 'iptables' ? (IPTABLES_FLAGS[name] ?? `-m ${name}`) : name
  }

  #value(register: number, value: Uint8Array): string {
    const held = this.#registers.get(register)
    if (held?.field === undefined) return String(numberOf(value, false))
    return valueText(held.field, value, held.field.form === 'address' ? held.mask : undefined)
  }
}

function hex(bytes: Uint8Array): string {
  return `0x${numberOf(bytes, true).toString(16)}`
}

function fibField(result: number, flags: number): RuleField {
  const side = (flags & NFTA_FIB_F_DADDR) !== 0 ? 'daddr' : 'saddr'
  if (result === NFT_FIB_RESULT_ADDRTYPE) return { name: `fib ${side} type`, form: 'addrtype' }
  return { name: `fib ${side} ${result === 1 ? 'oif' : 'oifname'}`, form: result === 1 ? 'host number' : 'text' }
}
