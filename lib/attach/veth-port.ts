/**
 * A container's place on a bridge: a veth pair, one end a port of the bridge, the other the container's interface; and
 * how the host's end is found again when only the attachment's names are known.
 */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import type { Link, LinkKind, NewLink } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { errnoOf } from '../sys/errors.ts'
import { stableName } from './owner.ts'

/** A veth pair to be made. */
export interface VethPort {
  readonly bridgeIndex: number
  /** bytes, for both ends; the kernel's default when absent */
  readonly mtu: number | undefined
  /** Of the container's end; the kernel chooses when absent. */
  readonly mac: Uint8Array | undefined
}

/**
 * Makes the veth pair in one request: both ends, their names, sizes and namespaces, or nothing.
 *
 * The container's end stays down until its sysctls are set: IPv6 starts duplicate address detection on its
 * link-local address at the moment the interface comes up.
 *
 * @throws {CniError} code 7 when the container has an interface of that name
 */
export function addVeth(host: Net, container: Net, request: Request, pair: VethPort): Link {
  const name = hostEndName(request)
  const kind: LinkKind = {
    kind: 'veth',
    peer: { name: request.ifName, netns: container, mtu: pair.mtu, mac: pair.mac }
  }
  const link: NewLink = { name, kind, mtu: pair.mtu, masterIndex: pair.bridgeIndex, up: true }
  try {
    return host.links.add(link)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    if (container.links.find(request.ifName) !== undefined) throw interfaceExists(request)
    // An ADD that was killed left the pair, and its container is another one by now or has lost its end.
    host.links.remove(name)
    return host.links.add(link)
  }
}

/**
 * Before anything is taken for the attachment: a second ADD would otherwise lease what the first one holds, fail at
 * the interface, and give the first one's address back while it is in use.
 *
 * @throws {CniError} code 7 when the container has an interface of that name
 */
export function refuseExisting(container: Net, request: Request): void {
  if (container.links.find(request.ifName) !== undefined) throw interfaceExists(request)
}

function interfaceExists(request: Request): CniError {
  return new CniError(
    INVALID_CONFIG,
    `add link ${JSON.stringify(request.ifName)}: the container has an interface of this name`,
    'attach under another CNI_IFNAME, or DEL the old attachment first'
  )
}

/**
 * The name of the host's end follows from the attachment, so that DEL finds it by containerID and ifname alone,
 * with the namespace gone, the configuration changed and no prevResult.
 */
export function hostEndName(request: Request): string {
  return stableName('veth', request.network, request.containerId, request.ifName)
}

/** The names that the host's end may have: ours, and whatever prevResult lists as a veth of the host. */
export function hostEnds(request: Request): readonly string[] {
  const names = [hostEndName(request)]
  const interfaces = request.prevResult?.interfaces ?? []
  // The reference plugin's results: bridge, host's end, container's end.
  const second = interfaces[1]
  const isHostVeth = second !== undefined && (second.sandbox ?? '') === '' && /^veth[0-9a-f]{8,11}$/.test(second.name)
  if (isHostVeth && second.name !== names[0]) names.push(second.name)
  return names
}

/**
 * Whether an attachment that has no journal entry may have left rules. Looking for them opens nf_tables, and to close it
 * again waits for whatever was deleted there last, by anybody: ten times what the rest of such a DEL takes.
 *
 * - Our own ADD writes the entry before the first rule, DEL removes it after the last one: no entry, no rules. prevResult
 *   is known for ours by the name of the host's end. Should the journal have been lost, the end itself tells; and should
 *   that be gone too, GC or the next ADD with the same address finds the rules.
 * - The reference's ADD writes none and gives the host's end a random name: what it made has to be looked for.
 */
export function mayHaveRules(host: Net, request: Request): boolean {
  const name = hostEndName(request)
  const result = request.prevResult
  if (result !== undefined && !result.interfaces.some(one => one.name === name)) return true
  return host.links.find(name) !== undefined
}

/** Removes the host's end and with it the pair; a name that has become some other kind of link is left alone. */
export function removeHostEnd(host: Net, name: string): void {
  const link = host.links.find(name)
  if (link !== undefined && link.kind === 'veth') host.links.removeByIndex(link.index)
}
