/** What went to each member and back, from all clients of this host: the kernel counts for each, and forgets with it. */
import { formatAddress } from '../../lib/ip/address.ts'
import type { NfCounter } from '../../lib/netlink/nf/set-element.ts'
import type { Traffic } from './layout.ts'

export interface MemberTraffic {
  readonly service: string
  /** An address as text. */
  readonly member: string
  readonly sent: NfCounter
  readonly received: NfCounter
}

interface Counted {
  readonly service: string
  readonly member: string
  sent: NfCounter
  received: NfCounter
}

export class TrafficTotals {
  /** By service and member. */
  readonly #totals = new Map<string, Counted>()
  /** What was read last of each client, by service, address and member. */
  readonly #read = new Map<object, Map<string, Traffic>>()

  /** @param isLast it will be read no more: the way, or the client, goes */
  add(client: object, all: readonly Traffic[], isLast: boolean): void {
    const known = this.#read.get(client) ?? new Map<string, Traffic>()
    this.#read.set(client, known)
    for (const one of all) {
      const key = `${one.of.service} ${one.of.name} ${formatAddress(one.member)}`
      const before = known.get(key)
      const total = this.#total(one.of.service, formatAddress(one.member))
      total.sent = sum(total.sent, grown(one.sent, before?.sent))
      total.received = sum(total.received, grown(one.received, before?.received))
      if (isLast) known.delete(key)
      else known.set(key, one)
    }
  }

  forgetClient(client: object): void {
    this.#read.delete(client)
  }

  /** @param members whom to tell of, as texts: of those that are gone for long nothing is kept */
  keepOnly(service: string, members: ReadonlySet<string>): void {
    for (const [key, one] of this.#totals)
      if (one.service === service && !members.has(one.member)) this.#totals.delete(key)
  }

  list(service?: string): readonly MemberTraffic[] {
    return [...this.#totals.values()].filter(one => service === undefined || one.service === service)
  }

  #total(service: string, member: string): Counted {
    const key = `${service} ${member}`
    const known = this.#totals.get(key)
    if (known !== undefined) return known
    const made = { service, member, sent: NOTHING, received: NOTHING }
    this.#totals.set(key, made)
    return made
  }
}

const NOTHING: NfCounter = { packets: 0, bytes: 0 }

function sum(a: NfCounter, b: NfCounter): NfCounter {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes }
}

/** A counter that is smaller than before was made anew. */
function grown(now: NfCounter, before: NfCounter | undefined): NfCounter {
  if (before === undefined || now.packets < before.packets) return now
  return { packets: now.packets - before.packets, bytes: now.bytes - before.bytes }
}
