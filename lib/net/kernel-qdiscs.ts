/**
 * Queueing disciplines and filters by rtnetlink, in the words of `tc`.
 */

import { type Conn, type Request, refusal } from '../netlink/conn.ts'
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
  RTM_GETQDISC,
  RTM_GETTFILTER,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_INGRESS,
  TC_H_ROOT,
  type TcMessage
} from '../netlink/rt/tc.ts'
import {
  type Filter,
  type FilterHook,
  Filters,
  type NewQdisc,
  type Qdisc,
  Qdiscs,
  type RedirectFilter
} from './qdiscs.ts'
import { tbfFromOptions, tbfOptions } from './tbf.ts'

export class KernelQdiscs extends Qdiscs {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  /**
   * The root qdisc and the one for what comes in. They are asked for one by one: the dump that `tc qdisc show dev` uses
   * lists the qdiscs of every link there is.
   */
  override list(index: number): readonly Qdisc[] {
    const found: Qdisc[] = []
    for (const parent of [TC_H_ROOT, TC_H_INGRESS]) {
      const qdisc = findQdisc(this.#conn, index, parent)
      if (qdisc !== undefined) found.push(qdisc)
    }
    return found
  }

  override replace(index: number, qdisc: NewQdisc): void {
    const { handle, parent } = placeOf(qdisc.kind)
    const tbf = qdisc.kind === 'tbf' ? tbfOptions(qdisc.tbf) : undefined
    this.#conn.execute({
      operation: 'add qdisc',
      object: `"${qdisc.kind}" to link ${String(index)}`,
      type: RTM_NEWQDISC,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      payload: encodeTc({ index, handle, parent, info: 0, kind: qdisc.kind, tbf }),
      answer: 'acknowledgement'
    })
  }

  /** @returns false when there was none of this kind */
  override remove(index: number, kind: NewQdisc['kind']): boolean {
    const { parent } = placeOf(kind)
    // The kernel compares no kind when it deletes, and at each place there can be others.
    const present = findQdisc(this.#conn, index, parent)
    if (present === undefined || present.kind !== kind) return false
    const answer = this.#conn.attempt({
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
}

export class KernelFilters extends Filters {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(index: number, hook: FilterHook): readonly Filter[] {
    const payload = encodeTc({ index, handle: 0, parent: hookParent(hook), info: 0 })
    const answers = this.#conn.dump('list', `filters of link ${String(index)}`, RTM_GETTFILTER, payload).map(decodeTc)
    // Beside each u32 filter the kernel lists the hash table that it is in, without a handle or with one of table 800 alone.
    return answers.filter(one => one.kind !== 'u32' || one.handle % 4096 !== 0).map(filterOf)
  }

  override add(index: number, filter: RedirectFilter): void {
    this.#conn.execute({
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
        u32: { redirectIndex: filter.redirectIndex, isIngress: filter.isIngress }
      }),
      answer: 'acknowledgement'
    })
  }
}

function findQdisc(conn: Conn, index: number, parent: number): Qdisc | undefined {
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
  const answer = conn.attempt(request)
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

interface Place {
  readonly handle: number
  readonly parent: number
}

function placeOf(kind: string): Place {
  return kind === 'tbf' ? { handle: ROOT_HANDLE, parent: TC_H_ROOT } : { handle: INGRESS_HANDLE, parent: TC_H_INGRESS }
}

function hookParent(hook: FilterHook): number {
  if (hook === 'clsact-ingress') return CLSACT_INGRESS
  return hook === 'clsact-egress' ? CLSACT_EGRESS : INGRESS_HANDLE
}

function filterOf(message: TcMessage): Filter {
  return {
    kind: message.kind ?? '',
    priority: filterPriority(message.info),
    protocol: filterProtocol(message.info),
    redirectIndex: message.u32?.isIngress === true ? undefined : message.u32?.redirectIndex
  }
}
