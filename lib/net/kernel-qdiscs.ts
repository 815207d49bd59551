/**
 * Queueing disciplines and filters by rtnetlink, in the words of `tc`.
 */
import { NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/message.ts'
import {
  CLSACT_EGRESS,
  CLSACT_INGRESS,
  decodeTc,
  ETH_P_ALL,
  encodeTc,
  filterInfo,
  filterPriority,
  filterProtocol,
  INGRESS_HANDLE,
  ROOT_HANDLE,
  RTM_DELQDISC,
  RTM_DELTFILTER,
  RTM_GETQDISC,
  RTM_GETTFILTER,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_INGRESS,
  TC_H_ROOT,
  type TcMessage
} from '../netlink/rt/tc.ts'
import type { Filter, FilterHook, NewQdisc, Qdisc, RedirectFilter } from './net.ts'
import { type Request, type Rtnetlink, refusal } from './rtnetlink.ts'
import { tbfFromOptions, tbfOptions } from './tbf.ts'

/**
 * The root qdisc and the one for what comes in. They are asked for one by one: the dump that `tc qdisc show dev` uses
 * lists the qdiscs of every link there is.
 */
export function listQdiscs(rt: Rtnetlink, index: number): readonly Qdisc[] {
  const found: Qdisc[] = []
  for (const parent of [TC_H_ROOT, TC_H_INGRESS]) {
    const qdisc = findQdisc(rt, index, parent)
    if (qdisc !== undefined) found.push(qdisc)
  }
  return found
}

function findQdisc(rt: Rtnetlink, index: number, parent: number): Qdisc | undefined {
  const request: Request = {
    operation: 'list',
    object: `qdiscs of link ${String(index)}`,
    type: RTM_GETQDISC,
    // The answer is a notification, which the one who asked gets only for the asking.
    flags: NLM_F_ECHO,
    payload: encodeTc({ index, handle: 0, parent, info: 0 }),
    // Not 'message': of one that the kernel has put there itself, such as noqueue, it shows nothing, without an error.
    answer: 'acknowledgement'
  }
  const answer = rt.attempt(request)
  const { errno } = answer
  if (errno === 'ENOENT' || errno === 'EINVAL' || errno === 'ENODEV') return undefined
  if (errno !== '') throw refusal(answer)
  const payload = answer.payloads[0]
  return payload === undefined ? undefined : qdiscOf(decodeTc(payload))
}

function qdiscOf(message: TcMessage): Qdisc {
  const tbf = message.tbf === undefined ? undefined : tbfFromOptions(message.tbf)
  return { index: message.index, kind: message.kind ?? '', handle: message.handle, parent: message.parent, tbf }
}

export function replaceQdisc(rt: Rtnetlink, index: number, qdisc: NewQdisc): void {
  const { handle, parent } = placeOf(qdisc.kind)
  const tbf = qdisc.kind === 'tbf' ? tbfOptions(qdisc.tbf) : undefined
  rt.request({
    operation: 'add qdisc',
    object: `"${qdisc.kind}" to link ${String(index)}`,
    type: RTM_NEWQDISC,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: encodeTc({ index, handle, parent, info: 0, kind: qdisc.kind, tbf }),
    answer: 'acknowledgement'
  })
}

interface Place {
  readonly handle: number
  readonly parent: number
}

function placeOf(kind: string): Place {
  return kind === 'tbf' ? { handle: ROOT_HANDLE, parent: TC_H_ROOT } : { handle: INGRESS_HANDLE, parent: TC_H_INGRESS }
}

/** @returns false when there was none of this kind */
export function removeQdisc(rt: Rtnetlink, index: number, kind: 'tbf' | 'ingress' | 'clsact'): boolean {
  const { parent } = placeOf(kind)
  // The kernel compares no kind when it deletes, and at each place there can be others.
  const present = findQdisc(rt, index, parent)
  if (present === undefined || present.kind !== kind) return false
  const answer = rt.attempt({
    operation: 'remove qdisc',
    object: `"${kind}" from link ${String(index)}`,
    type: RTM_DELQDISC,
    flags: 0,
    payload: encodeTc({ index, handle: present.handle, parent, info: 0 }),
    answer: 'acknowledgement'
  })
  const { errno } = answer
  if (errno === 'ENOENT' || errno === 'ENODEV' || errno === 'EINVAL') return false
  if (errno !== '') throw refusal(answer)
  return true
}

function hookParent(hook: FilterHook): number {
  if (hook === 'clsact-ingress') return CLSACT_INGRESS
  return hook === 'clsact-egress' ? CLSACT_EGRESS : INGRESS_HANDLE
}

export function listFilters(rt: Rtnetlink, index: number, hook: FilterHook): readonly Filter[] {
  const payload = encodeTc({ index, handle: 0, parent: hookParent(hook), info: 0 })
  const answers = rt.dump('list', `filters of link ${String(index)}`, RTM_GETTFILTER, payload).map(decodeTc)
  // Beside each u32 filter the kernel lists the hash table that it is in, without a handle or with one of table 800 alone.
  return answers.filter(one => one.kind !== 'u32' || one.handle % 4096 !== 0).map(filterOf)
}

function filterOf(message: TcMessage): Filter {
  return {
    kind: message.kind ?? '',
    priority: filterPriority(message.info),
    protocol: filterProtocol(message.info),
    redirectIndex: message.u32?.redirectIndex
  }
}

export function addFilter(rt: Rtnetlink, index: number, filter: RedirectFilter): void {
  rt.request({
    operation: 'add filter',
    object: `to link ${String(index)}`,
    type: RTM_NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeTc({
      index,
      handle: 0,
      parent: hookParent(filter.hook),
      info: filterInfo(filter.priority, ETH_P_ALL),
      kind: 'u32',
      u32: { redirectIndex: filter.redirectIndex }
    }),
    answer: 'acknowledgement'
  })
}

export function removeFilters(rt: Rtnetlink, index: number, hook: FilterHook): void {
  const answer = rt.attempt({
    operation: 'remove filters',
    object: `from link ${String(index)}`,
    type: RTM_DELTFILTER,
    flags: 0,
    payload: encodeTc({ index, handle: 0, parent: hookParent(hook), info: 0 }),
    answer: 'acknowledgement'
  })
  const { errno } = answer
  if (errno !== '' && errno !== 'ENOENT' && errno !== 'EINVAL') throw refusal(answer)
}
