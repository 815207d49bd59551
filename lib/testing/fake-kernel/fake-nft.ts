/**
 * A packet filter without a kernel, for tests: batches are applied or refused as a whole, the state prints as text.
 */
import { hex } from '../../ip/mac.ts'
import type { ConntrackEntry } from '../../netlink/nf/conntrack.ts'
import {
  type ConntrackFilter,
  Nft,
  type NftBatch,
  type NftChain,
  type NftElement,
  NftError,
  type NftFamily,
  type NftHook,
  type NftRule,
  type NftSet,
  type NftStep,
  type NftTable
} from '../../nft/nft.ts'

interface FakeChain {
  readonly name: string
  readonly hook: NftHook | undefined
  readonly rules: NftRule[]
}

interface FakeSet {
  readonly set: NftSet
  readonly elements: NftElement[]
}

interface FakeTable {
  readonly family: NftFamily
  readonly name: string
  readonly chains: Map<string, FakeChain>
  readonly sets: Map<string, FakeSet>
}

type Tables = Map<string, FakeTable>

export class FakeNft extends Nft {
  #tables: Tables = new Map()
  #generation = 1
  #handle = 0
  readonly #beforeCommit: () => void
  /** The filters given to `flushConntrack`, in their order. */
  readonly flushed: ConntrackFilter[] = []

  /** @param beforeCommit called before each batch, and may throw to have it fail */
  constructor(beforeCommit: () => void) {
    super()
    this.#beforeCommit = beforeCommit
  }

  override commit(batch: NftBatch, generation: number | undefined): void {
    if (batch.length() === 0) return
    this.#beforeCommit()
    if (generation !== undefined && generation !== this.#generation) {
      const explanation = 'the ruleset has another generation'
      throw new NftError('commit', 'nft batch', { at: -1, errno: 'ERESTART', explanation })
    }
    const tables = copyTables(this.#tables)
    for (const [place, step] of batch.steps().entries()) this.#apply(tables, step, place)
    this.#tables = tables
    this.#generation += 1
  }

  override generation(): number {
    return this.#generation
  }

  override findTable(family: NftFamily, table: string): NftTable | undefined {
    const found = this.#tables.get(`${family} ${table}`)
    return found === undefined ? undefined : { family, name: table, use: found.chains.size + found.sets.size }
  }

  override findChain(family: NftFamily, table: string, chain: string): NftChain | undefined {
    return this.listChains(family).find(one => one.table === table && one.name === chain)
  }

  override listChains(family: NftFamily): readonly NftChain[] {
    const chains: NftChain[] = []
    for (const table of this.#tables.values()) {
      if (table.family !== family) continue
      for (const chain of table.chains.values()) {
        const { name, hook } = chain
        chains.push({ family, table: table.name, name, hook, use: chain.rules.length + references(table, name) })
      }
    }
    return chains
  }

  override listRules(family: NftFamily, table: string, chain: string): readonly NftRule[] {
    return [...(this.#tables.get(`${family} ${table}`)?.chains.get(chain)?.rules ?? [])]
  }

  override findElement(family: NftFamily, table: string, set: string, key: Uint8Array): NftElement | undefined {
    return this.listElements(family, table, set).find(element => covers(element, key))
  }

  override listElements(family: NftFamily, table: string, set: string): readonly NftElement[] {
    return [...(this.#tables.get(`${family} ${table}`)?.sets.get(set)?.elements ?? [])]
  }

  override listSomeElements(family: NftFamily, table: string, set: string): readonly NftElement[] {
    return this.listElements(family, table, set)
  }

  override flushConntrack(filter: ConntrackFilter): void {
    this.flushed.push(filter)
  }

  override removeConntrack(): void {
    // None is ever listed.
  }

  override listConntrack(_family: 4 | 6): readonly ConntrackEntry[] {
    return []
  }

  override close(): void {
    // Nothing is open.
  }

  /** The ruleset as text. */
  lines(): readonly string[] {
    const lines: string[] = []
    for (const table of this.#tables.values()) {
      lines.push(`table ${table.family} ${table.name}`)
      for (const { set, elements } of table.sets.values()) {
        lines.push(`  ${set.data === undefined ? 'set' : 'map'} ${set.name}`)
        for (const element of elements) lines.push(`    ${elementText(element)}`)
      }
      for (const chain of table.chains.values()) {
        const { hook } = chain
        const base = hook === undefined ? '' : ` type ${hook.type} hook ${hook.hook} priority ${hook.priority}`
        lines.push(`  chain ${chain.name}${base}`)
        for (const rule of chain.rules)
          lines.push(`    rule ${JSON.stringify(rule.comment)} ${rule.expressions.length}`)
      }
    }
    return lines
  }

  #apply(tables: Tables, step: NftStep, place: number): void {
    const key = `${step.family} ${step.table}`
    const table = tables.get(key)
    if (step.operation === 'add table') {
      if (table === undefined) tables.set(key, emptyTable(step))
      else if (step.isExclusive) refuse(step, 'EEXIST', place)
      return
    }
    if (table === undefined) refuse(step, 'ENOENT', place)
    if (step.operation === 'remove table') tables.delete(key)
    else if (step.operation.endsWith('chain')) applyChain(table, step, place)
    else if (step.operation.endsWith('rule')) this.#applyRule(table, step, place)
    else if (step.operation.endsWith('set')) applySet(table, step, place)
    else applyElements(table, step, place)
  }

  #applyRule(table: FakeTable, step: NftStep, place: number): void {
    const chain = table.chains.get(step.name)
    if (chain === undefined) refuse(step, 'ENOENT', place)
    if (step.operation === 'add rule') {
      this.#handle += 1
      chain.rules.push({ handle: this.#handle, expressions: step.expressions, comment: '' })
      return
    }
    const left = chain.rules.filter(rule => step.handle !== 0 && rule.handle !== step.handle)
    if (step.handle !== 0 && left.length === chain.rules.length) refuse(step, 'ENOENT', place)
    chain.rules.splice(0, chain.rules.length, ...left)
  }
}

function applyChain(table: FakeTable, step: NftStep, place: number): void {
  const present = table.chains.has(step.name)
  if (step.operation === 'add chain') {
    if (present && step.isExclusive) refuse(step, 'EEXIST', place)
    if (!present) table.chains.set(step.name, { name: step.name, hook: step.hook, rules: [] })
    return
  }
  if (!present) refuse(step, 'ENOENT', place)
  if (references(table, step.name) > 0) refuse(step, 'EBUSY', place)
  table.chains.delete(step.name)
}

function applySet(table: FakeTable, step: NftStep, place: number): void {
  const present = table.sets.has(step.name)
  if (step.operation === 'add set') {
    if (present && step.isExclusive) refuse(step, 'EEXIST', place)
    if (!present && step.set !== undefined) table.sets.set(step.name, { set: step.set, elements: [] })
    return
  }
  if (!present) refuse(step, 'ENOENT', place)
  table.sets.delete(step.name)
}

function applyElements(table: FakeTable, step: NftStep, place: number): void {
  const set = table.sets.get(step.name)
  if (set === undefined) refuse(step, 'ENOENT', place)
  for (const element of step.elements) {
    const at = set.elements.findIndex(one => elementKey(one) === elementKey(element))
    const there = set.elements[at]
    if (step.operation === 'remove element') {
      if (at < 0) refuse(step, 'ENOENT', place)
      set.elements.splice(at, 1)
    } else if (there === undefined) {
      set.elements.push(element)
    } else if (step.isExclusive || elementData(there) !== elementData(element)) {
      refuse(step, 'EEXIST', place)
    }
  }
}

function emptyTable(step: NftStep): FakeTable {
  return { family: step.family, name: step.table, chains: new Map(), sets: new Map() }
}

function copyTables(tables: Tables): Tables {
  const copy: Tables = new Map()
  for (const [key, table] of tables) {
    const chains = new Map([...table.chains].map(([name, chain]) => [name, { ...chain, rules: [...chain.rules] }]))
    const sets = new Map([...table.sets].map(([name, set]) => [name, { ...set, elements: [...set.elements] }]))
    copy.set(key, { ...table, chains, sets })
  }
  return copy
}

function refuse(step: NftStep, errno: string, place: number): never {
  const object = `${step.family} ${step.table} ${step.name}`.trim()
  throw new NftError(step.operation, object, { at: place, errno, explanation: '' })
}

/** How many elements of the table's maps lead to the chain. */
function references(table: FakeTable, chain: string): number {
  let count = 0
  for (const { elements } of table.sets.values()) {
    count += elements.filter(element => element.verdict?.chain === chain).length
  }
  return count
}

function covers(element: NftElement, key: Uint8Array): boolean {
  if (element.keyEnd === undefined) return hex(element.key) === hex(key)
  return hex(element.key) <= hex(key) && hex(key) <= hex(element.keyEnd)
}

function elementKey(element: NftElement): string {
  return hex(element.key) + (element.keyEnd === undefined ? '' : `-${hex(element.keyEnd)}`)
}

function elementData(element: NftElement): string {
  const { verdict } = element
  return (element.data === undefined ? '' : hex(element.data)) + (verdict === undefined ? '' : JSON.stringify(verdict))
}

function elementText(element: NftElement): string {
  return `element ${elementKey(element)} ${elementData(element)} ${JSON.stringify(element.comment)}`
}
