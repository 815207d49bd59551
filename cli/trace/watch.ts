/** One namespace while a probe is on its way: what its interfaces see, and what its packet filter does. */
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import { KernelEvents } from '../../lib/netlink/events.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../../lib/netlink/nf/nfnetlink.ts'
import { decodeTrace, NFNLGRP_NFTRACE, NFT_MSG_TRACE, type NfTrace } from '../../lib/netlink/nf/trace.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { type CapturedPacket, PacketCapture } from '../../lib/sys/packet-capture.ts'
import type { LinkView, NamespaceView } from '../../lib/view/model.ts'
import { LegacyCounters } from './legacy.ts'
import { Mark } from './mark.ts'
import { captureFilter } from './match.ts'
import type { Probe } from './probe.ts'
import { type Recognised, recognise } from './recognise.ts'

/** The probe, its answer or an error about it, at an interface. */
export interface Sighting {
  readonly kind: 'seen'
  readonly namespace: NamespaceView
  readonly link: LinkView
  readonly direction: CapturedPacket['direction']
  readonly packet: Recognised
  /** bytes */
  readonly length: number
}

/** What a rule or a policy did with it. */
export interface Judged {
  readonly kind: 'judged'
  readonly namespace: NamespaceView
  readonly trace: NfTrace
  readonly packet: Recognised
}

const EVENT_BYTES = 1 << 20

export class Watch {
  readonly namespace: NamespaceView
  readonly net: Net
  readonly #probe: Probe
  /** Rules of legacy iptables, which no event tells of. */
  readonly legacy: LegacyCounters
  readonly #capture: PacketCapture
  readonly #events: KernelEvents | undefined
  readonly #mark: Mark | undefined
  /** By the trace's id: the first event of a chain tells which packet it is. */
  readonly #packets = new Map<number, Recognised>()

  /** @throws {NetnsError} when it has gone; {SysError} EPERM without root */
  constructor(namespace: NamespaceView, probe: Probe) {
    this.namespace = namespace
    this.#probe = probe
    this.net = openNet(namespace)
    const fd = this.net.namespaceFd()
    this.legacy = new LegacyCounters(fd, probe.source.family)
    this.#capture = inNamespace(fd, () => new PacketCapture(captureFilter(probe)))
    this.#mark = orNone(() => new Mark(fd, probe))
    this.#events = orNone(() =>
      inNamespace(fd, () => new KernelEvents(NETLINK_NETFILTER, [NFNLGRP_NFTRACE], EVENT_BYTES))
    )
  }

  /** What has come since the last call. */
  take(): readonly (Sighting | Judged)[] {
    return [...this.#takeSightings(), ...this.#takeJudged()]
  }

  close(): void {
    this.#mark?.close()
    this.#events?.close()
    this.#capture.close()
    this.net.close()
  }

  #takeSightings(): readonly Sighting[] {
    const all: Sighting[] = []
    for (let one = this.#capture.take(); one !== undefined; one = this.#capture.take()) {
      const { index, packet } = one
      const link = this.namespace.links.find(candidate => candidate.index === index)
      const seen = recognise(this.#probe, packet)
      if (seen === undefined || seen.role === 'question' || link === undefined) continue
      const { namespace } = this
      // What passes a bridge is for another MAC address than the port's.
      const direction = one.direction === 'foreign' && link.master !== 0 ? 'in' : one.direction
      all.push({ kind: 'seen', namespace, link, direction, packet: seen, length: packet.length })
    }
    return all
  }

  #takeJudged(): readonly Judged[] {
    const all: Judged[] = []
    for (let messages = this.#takeEvents(); messages !== undefined; messages = this.#takeEvents()) {
      for (const message of messages) {
        if (message.type !== nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE)) continue
        const trace = decodeTrace(message.payload)
        const packet = this.#packetOf(trace)
        // Of questions for neighbours only the end is of interest: there are many, for every port of a bridge.
        if (packet === undefined || (packet.role === 'question' && !isDrop(trace))) continue
        all.push({ kind: 'judged', namespace: this.namespace, trace, packet })
      }
    }
    return all
  }

  /** Events that found no room are lost: what was seen at the interfaces remains. */
  #takeEvents(): ReturnType<KernelEvents['take']> {
    try {
      return this.#events?.take()
    } catch (error) {
      if (errnoOf(error) === 'ENOBUFS') return []
      throw error
    }
  }

  #packetOf({ id, networkHeader, transportHeader }: NfTrace): Recognised | undefined {
    if (networkHeader === undefined) return this.#packets.get(id)
    const bytes = new Uint8Array(networkHeader.length + (transportHeader?.length ?? 0))
    bytes.set(networkHeader)
    bytes.set(transportHeader ?? [], networkHeader.length)
    const packet = recognise(this.#probe, bytes)
    if (packet === undefined) this.#packets.delete(id)
    else this.#packets.set(id, packet)
    return packet
  }
}

/** Whether a rule or a policy ended the packet's way. */
export function isDrop({ verdict, policy }: NfTrace): boolean {
  return verdict?.name === 'drop' || policy === 'drop'
}

/** @throws {Error} when it is another one by now */
export function openNet(namespace: NamespaceView): Net {
  const kernel = new LinuxKernel()
  if (namespace.isHost && namespace.paths.length === 0) return kernel.host()
  for (const path of namespace.paths) {
    const net = kernel.find(path)
    if (net === undefined) continue
    if (net.id().split(':')[1] === namespace.id) return net
    net.close()
  }
  throw new NamespaceGone(namespace)
}

/** It ended while it was looked at. */
export class NamespaceGone extends Error {
  constructor({ name }: NamespaceView) {
    super(`open the namespace of ${JSON.stringify(name)}: it is gone`)
  }
}

/** For what not every kernel has. */
function orNone<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return undefined
  }
}
