/**
 * One call of a plugin about one attachment: what it works on, what it has written down and what it has made so far.
 *
 *     const device = session.host.links.get(config.device)
 *     session.record(entry)
 *     const link = addVeth(session, …)      // tells session.undo
 *     const leased = session.lease()
 *
 * Whoever makes the session closes it, and with it all that it opened: one Net for the host, one for the container, and
 * nf_tables where somebody asked for it.
 */
import type { Attachment } from '../attachment.ts'
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import { EMPTY_RESULT, type IpConfig, type Result } from '../cni/result.ts'
import { type Json, memberOf, withMember } from '../config/json.ts'
import { isUnspecified } from '../ip/address.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import type { Nft } from '../nft/nft.ts'
import type { Records } from '../state/records.ts'
import { Undo, UndoError } from '../undo.ts'
import { leasesOverInterface } from './ipam.ts'
import { refuseNoHosts, refuseNoHostsOf } from './no-hosts.ts'
import { withRuntime } from './other-runtimes.ts'
import { Steps } from './steps.ts'

/** The host's side of a call, which the sessions of a GC share. */
class HostSide {
  readonly kernel: Kernel
  readonly net: Net
  #nft: Nft | undefined

  constructor(kernel: Kernel) {
    this.kernel = kernel
    this.net = kernel.host()
  }

  nft(): Nft {
    const nft = this.#nft ?? this.kernel.nft(this.net)
    this.#nft = nft
    return nft
  }

  close(): void {
    if (this.#nft !== undefined) this.#nft.close()
    this.net.close()
  }
}

/** `undefined`: nobody has looked yet. */
class Seen {
  /** The host's end of its pair, before anything was removed. */
  hostEnd: Sight | undefined
  /** The link of its name in the container, once its own is removed. */
  left: Sight | undefined
}

/** What there was to see. */
interface Sight {
  readonly link: Link | undefined
}

export class Session {
  readonly request: Request
  readonly host: Net
  readonly journal: Records
  /** What ADD has made in the kernel. Addresses and what is written down are not its matter: `rollback` has them. */
  readonly undo = new Undo()
  /** What DEL and GC could not do. */
  readonly steps: Steps
  /** What DEL and GC saw of the attachment's own, so that they ask once. */
  readonly seen = new Seen()
  readonly #side: HostSide
  #container: Net | undefined
  #entry: Json | undefined
  /** What was written down of the attachment before `record`. */
  #before: Json | undefined
  #lease: 'none' | 'asked' | 'taken' = 'none'

  /** Use `openSession`. */
  constructor(side: HostSide, request: Request, journal: Records) {
    this.#side = side
    this.host = side.net
    this.request = request
    this.journal = journal
    this.steps = new Steps(request.command)
  }

  /** The same call about another attachment of the network; to be left with `leave`. */
  about(gone: Attachment): Session {
    const request: Request = { ...this.request, containerId: gone.containerId, ifName: gone.ifName }
    return new Session(this.#side, request, this.journal)
  }

  /**
   * The packet filter of the host. A DEL with nothing to remove must not ask for it: closing it waits for whatever was
   * deleted there last, by anybody, which takes ten times what the rest of such a DEL does.
   */
  nft(): Nft {
    return this.#side.nft()
  }

  /** The packet filter of a namespace, which the caller closes. */
  nftOf(net: Net): Nft {
    return this.#side.kernel.nft(net)
  }

  /** The container's namespace. @throws {NetnsError} `absent`, `not-a-namespace` */
  container(): Net {
    const container = this.#container ?? this.#side.kernel.open(this.request.netns)
    this.#container = container
    return container
  }

  /** Another namespace of this host, which the caller closes; undefined when it is gone. */
  find(path: string): Net | undefined {
    return this.#side.kernel.find(path)
  }

  /**
   * The container's namespace for DEL and GC: that which DEL was given, or where it was given none, that which ADD was.
   * The path may lead to another container by now: see `isOwnNamespace`.
   *
   * @returns undefined when it is gone, has become the host's own, or when nothing names one
   */
  findContainer(entry: Json | undefined): Net | undefined {
    if (this.#container !== undefined) return this.#container
    const given = this.request.netns
    const path = given === '' ? formerNetns(this.request, entry) : given
    const found = path === '' ? undefined : this.#side.kernel.find(path)
    if (given === '' && found !== undefined && found.isSameAs(this.host)) {
      found.close()
      return undefined
    }
    this.#container = found
    return found
  }

  /** Runs the step; its failure is no reason to leave others undone, but DEL fails in the end. */
  attempt(step: () => void): boolean {
    return this.steps.attempt(step)
  }

  /** Writes down what ADD is about to make. */
  record(entry: Json): void {
    this.#before = this.journal.read(this.request)
    const named = withRuntime(entry, this.request)
    this.#entry = named
    this.journal.write(this.request, named)
  }

  /** Adds members to what is written down, before what they tell of is made. */
  recordAlso(members: readonly (readonly [string, Json])[]): void {
    let entry = this.#entry
    if (entry === undefined) throw new Error('recordAlso without record')
    for (const [key, value] of members) entry = withMember(entry, key, value)
    this.#entry = entry
    this.journal.write(this.request, entry)
  }

  /**
   * Takes addresses from the network's IPAM plugin.
   *
   * @returns addresses, routes and name servers; nothing of them on a network without IPAM (layer 2 only)
   * @throws CniError code 7 when the IPAM plugin succeeded without any address, or gave one that no host can have
   */
  lease(): Result {
    const { ipam } = this.request
    const type = ipam.type()
    if (type === '') return EMPTY_RESULT
    this.#lease = 'asked'
    // By messages over the interface that ADD has made: to be given back before that goes.
    if (leasesOverInterface(this.request)) this.undo.push('address lease', () => this.#giveBack())
    const leased = ipam.add()
    this.#lease = 'taken'
    if (leased.ips.length > 0) return refuseWrong(leased)
    const message = `take addresses from ipam plugin ${JSON.stringify(type)}: it returned none`
    throw new CniError(INVALID_CONFIG, message, 'configure addresses there, or leave ipam out where it may be absent')
  }

  /**
   * Undoes a failed ADD: what it made, newest first; the addresses only if that is gone; what it wrote down only if
   * nothing is left. What cannot be undone here the next DEL finds written down.
   *
   * @param forget removes what is written down, where there was nothing before
   * @returns the error to throw
   */
  rollback(cause: Error, forget: (entry: Json) => void): Error {
    const made = this.undo.rollback(cause)
    if (made instanceof UndoError) return made
    if (this.#lease !== 'none') this.undo.push('address lease', () => this.#giveBack())
    const leased = this.undo.rollback(cause)
    if (leased instanceof UndoError) return leased
    const entry = this.#entry
    const before = this.#before
    if (entry !== undefined) {
      this.undo.push('journal entry', () => {
        if (before === undefined) forget(entry)
        else this.journal.write(this.request, before)
      })
    }
    return this.undo.rollback(cause)
  }

  /** A plugin that failed may have taken something all the same, so it is asked too; but nobody knows that it did. */
  #giveBack(): void {
    const isTaken = this.#lease === 'taken'
    this.#lease = 'none'
    try {
      this.request.ipam.del()
    } catch (error) {
      if (isTaken || !(error instanceof Error)) throw error
    }
  }

  /** Closes what is the attachment's own. */
  leave(): void {
    if (this.#container !== undefined) this.#container.close()
    this.#container = undefined
  }

  /** Closes everything. */
  close(): void {
    this.leave()
    this.#side.close()
  }
}

export function openSession(kernel: Kernel, request: Request, journal: Records): Session {
  return new Session(new HostSide(kernel), request, journal)
}

/**
 * What IPAM gave, with no gateway where it has 0.0.0.0 or ::, as some write it who have none.
 *
 * @throws CniError code 7 for an address or a gateway that no host can have: the kernel says of a route only that it is invalid
 */
function refuseWrong(leased: Result): Result {
  const ips: IpConfig[] = []
  for (const ip of leased.ips) {
    const gateway = ip.gateway !== undefined && isUnspecified(ip.gateway) ? undefined : ip.gateway
    refuseNoHostsOf(ip.address, ip.address.address)
    if (gateway !== undefined) refuseNoHostsOf(ip.address, gateway)
    ips.push({ interface: ip.interface, address: ip.address, gateway })
  }
  for (const { gw } of leased.routes) if (gw !== undefined && !isUnspecified(gw)) refuseNoHosts(gw)
  return { interfaces: leased.interfaces, ips, routes: leased.routes, dns: leased.dns }
}

/** The path of the namespace that ADD was given, by what it wrote down or else by its result; '' when that is lost. */
function formerNetns(request: Request, entry: Json | undefined): string {
  const netns = entry === undefined ? undefined : memberOf(entry, 'netns')
  if (netns !== undefined && netns.type === 'string' && netns.text !== '') return netns.text
  const interfaces = request.prevResult?.interfaces ?? []
  return interfaces.find(one => one.name === request.ifName)?.sandbox ?? ''
}
