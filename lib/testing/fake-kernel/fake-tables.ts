/** The smaller tables of a fake namespace. For tests; see fake-kernel.ts. */

import { addressesEqual } from '../../ip/address.ts'
import { formatMac } from '../../ip/mac.ts'
import { formatPrefix, networkOf } from '../../ip/prefix.ts'
import { sysctlPath } from '../../net/kernel-sysctls.ts'
import { Fdb, type FdbEntry, type Neighbour, Neighbours } from '../../net/neighbours.ts'
import {
  type Filter,
  type FilterHook,
  Filters,
  type NewQdisc,
  type Qdisc,
  Qdiscs,
  type RedirectFilter
} from '../../net/qdiscs.ts'
import { type Rule, Rules } from '../../net/rules.ts'
import { type Setting, Sysctls } from '../../net/sysctls.ts'
import { type BridgeVlan, Vlans } from '../../net/vlans.ts'
import { errnoOf } from '../../sys/errors.ts'
import type { FakeLink } from './fake-namespace.ts'
import { type FakePlace, linkAt, refuse } from './fake-place.ts'

const INGRESS_HANDLE = 0xffff0000
const ROOT_PARENT = 0xffffffff
const INGRESS_PARENT = 0xfffffff1

export class FakeVlans extends Vlans {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override add(index: number, vlans: readonly BridgeVlan[]): void {
    if (vlans.length === 0) return
    this.#place.step('add bridge vlan', `link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    for (const vlan of vlans) addVlan(link, vlan)
  }

  override remove(index: number, vlan: BridgeVlan): void {
    this.#place.step('remove bridge vlan', `${vlan.vid} of link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    link.vlans = link.vlans.filter(one => one.vid < vlan.vid || one.vid > (vlan.lastVid ?? vlan.vid))
  }

  override list(index: number): readonly BridgeVlan[] {
    return [...linkAt(this.#place.namespace, index).vlans]
  }
}

/** No frame is ever sent, so nobody is anybody's neighbour. */
export class FakeNeighbours extends Neighbours {
  override list(): readonly Neighbour[] {
    return []
  }
}

export class FakeFdb extends Fdb {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(index: number): readonly FdbEntry[] {
    return linkAt(this.#place.namespace, index).fdb.map(entry => ({ ...entry, permanent: entry.permanent ?? true }))
  }

  override set(index: number, entry: FdbEntry): void {
    this.#place.step('set fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    link.fdb = link.fdb.filter(one => !isFdbKey(one, entry))
    link.fdb.push(entry)
  }

  override append(index: number, entry: FdbEntry): void {
    this.#place.step('append fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    if (!link.fdb.some(one => isFdbKey(one, entry) && sameDst(one, entry))) link.fdb.push(entry)
  }

  override remove(index: number, entry: FdbEntry): boolean {
    this.#place.step('remove fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    const left = link.fdb.filter(one => !isFdbKey(one, entry) || (entry.dst !== undefined && !sameDst(one, entry)))
    const removed = left.length < link.fdb.length
    link.fdb = left
    return removed
  }
}

export class FakeRules extends Rules {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(family: 4 | 6): readonly Rule[] {
    return this.#place.namespace.rules.filter(rule => rule.family === family)
  }

  override add(rule: Rule): void {
    this.#place.step('add rule', `IPv${rule.family}`)
    if (this.#place.namespace.rules.some(one => ruleKey(one) === ruleKey(rule))) {
      refuse('add rule', `IPv${rule.family}`, 'EEXIST', 'File exists')
    }
    this.#place.namespace.rules.push(rule)
  }

  override remove(rule: Rule): boolean {
    this.#place.step('remove rule', `IPv${rule.family}`)
    const at = this.#place.namespace.rules.findIndex(one => ruleKey(one) === ruleKey(rule))
    if (at >= 0) this.#place.namespace.rules.splice(at, 1)
    return at >= 0
  }
}

export class FakeQdiscs extends Qdiscs {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(index: number): readonly Qdisc[] {
    return [...linkAt(this.#place.namespace, index).qdiscs]
  }

  override replace(index: number, qdisc: NewQdisc): void {
    this.#place.step('add qdisc', `"${qdisc.kind}" to link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    const isRoot = qdisc.kind === 'tbf'
    const parent = isRoot ? ROOT_PARENT : INGRESS_PARENT
    const handle = isRoot ? 0x10000 : INGRESS_HANDLE
    const tbf = qdisc.kind === 'tbf' ? qdisc.tbf : undefined
    link.qdiscs = link.qdiscs.filter(one => one.parent !== parent)
    link.qdiscs.push({ index, kind: qdisc.kind, handle, parent, tbf })
  }

  override remove(index: number, kind: NewQdisc['kind']): boolean {
    this.#place.step('remove qdisc', `"${kind}" from link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    const left = link.qdiscs.filter(one => one.kind !== kind)
    const removed = left.length < link.qdiscs.length
    link.qdiscs = left
    if (removed && kind !== 'tbf') link.filters = []
    return removed
  }
}

export class FakeFilters extends Filters {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(index: number, hook: FilterHook): readonly Filter[] {
    const filters = linkAt(this.#place.namespace, index).filters.filter(one => one.hook === hook)
    return filters.map(one => ({ kind: 'u32', priority: one.priority, protocol: 3, redirectIndex: one.redirectIndex }))
  }

  override add(index: number, filter: RedirectFilter): void {
    this.#place.step('add filter', `to link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    if (!link.qdiscs.some(one => one.parent === INGRESS_PARENT)) {
      refuse('add filter', `to link ${index}`, 'EINVAL', "Parent Qdisc doesn't exists")
    }
    link.filters.push(filter)
  }
}

export class FakeSysctls extends Sysctls {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override read(path: string): string | undefined {
    sysctlPath(path)
    if (!this.#hasSysctl(path)) return undefined
    return this.#place.namespace.sysctls.get(path) ?? '0'
  }

  override write(path: string, value: string): void {
    const what = `${JSON.stringify(path)} = ${JSON.stringify(value)}`
    sysctlPath(path)
    this.#place.step('write sysctl', what)
    if (!this.#hasSysctl(path)) refuse('write sysctl', what, 'ENOENT', '')
    this.#place.namespace.sysctls.set(path, value)
  }

  override writeIfPresent(settings: readonly Setting[]): void {
    for (const { path, value } of settings) {
      try {
        this.write(path, value)
      } catch (error) {
        const errno = errnoOf(error)
        if (errno !== 'ENOENT' && errno !== 'EROFS') throw error
      }
    }
  }

  /** Files named after a link exist while it does. */
  #hasSysctl(path: string): boolean {
    const parts = path.split('/')
    const name = parts[2]
    if ((parts[1] !== 'conf' && parts[1] !== 'neigh') || name === undefined) return true
    return name === 'all' || name === 'default' || this.#place.namespace.links.some(link => link.name === name)
  }
}

function addVlan(link: FakeLink, vlan: BridgeVlan): void {
  const { self: _self, ...plain } = vlan
  link.vlans = link.vlans
    .filter(one => one.vid !== vlan.vid)
    .map(one => (vlan.pvid === true ? { ...one, pvid: false } : one))
  link.vlans.push(plain)
}

function isFdbKey(a: FdbEntry, b: FdbEntry): boolean {
  return formatMac(a.mac) === formatMac(b.mac) && a.vlan === b.vlan && a.vni === b.vni && a.master === b.master
}

function sameDst(a: FdbEntry, b: FdbEntry): boolean {
  if (a.dst === undefined || b.dst === undefined) return a.dst === b.dst
  return addressesEqual(a.dst, b.dst)
}

function ruleKey(rule: Rule): string {
  const from = rule.from === undefined ? '' : formatPrefix(networkOf(rule.from))
  const to = rule.to === undefined ? '' : formatPrefix(networkOf(rule.to))
  const { family, priority, table, iifName, oifName, mark, action } = rule
  return JSON.stringify([family, priority, from, to, table, iifName, oifName, mark, action ?? 'table'])
}
