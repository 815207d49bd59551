/**
 * The carrier: a network namespace that holds nothing but a WireGuard device, and is held by a mount, so that it outlives the
 * agent.
 *
 *     host                                              carrier (<stateDir>/carrier.netns)
 *       vx42 . . . . . . . . UDP 4789 . . . . . . . . .   wg0  fd7c:…/128, fd00::/8 goes there
 *       eth0 192.0.2.1:51830 <=== encrypted ===========   wg0's datagrams leave by the host
 *
 * A tunnel that is made by way of it has no other way out. The device's own datagrams go through the namespace that it was made
 * in, the host's, wherever it is afterwards.
 *
 * @source WireGuard, "Routing & Network Namespaces"; drivers/net/wireguard/device.c wg_newlink creating_net
 */
import { closeSync } from 'node:fs'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { addressesEqual, type IpAddress } from '../../lib/ip/address.ts'
import { hostPrefix, type IpPrefix } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { WGPEER_F_REMOVE_ME, WGPEER_F_REPLACE_ALLOWEDIPS, type WgPeer, WireGuard } from '../../lib/net/wireguard.ts'
import { asError, errnoOf, messageOf } from '../../lib/sys/errors.ts'
import { newNetns } from '../../lib/sys/netns.ts'
import { pinNetns, unpinNetns } from '../../lib/sys/pinned-netns.ts'
import { endpointText } from './key-record.ts'
import { keyBytes } from './keys.ts'
import type { Peer } from './trust.ts'

/** In the agent's `stateDir`. */
export const CARRIER_FILE = 'carrier.netns'

const DEVICE = 'wg0'

/** What the device has to be. */
export interface CarrierDevice {
  readonly privateKey: Uint8Array
  /** base64 */
  readonly publicKey: string
  /** UDP */
  readonly port: number
  readonly address: IpAddress
  readonly range: IpPrefix
  /** bytes */
  readonly mtu: number
  /** seconds; 0 = none */
  readonly keepalive: number
}

/** What the kernel knows of a peer. */
export interface PeerState {
  /** Seconds since 1970; 0 = never */
  readonly lastHandshake: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

export class Carrier {
  readonly path: string
  readonly #kernel: Kernel
  /** What each peer's endpoint was set to: WireGuard itself follows one that moves. */
  readonly #endpoints = new Map<string, string>()

  constructor(kernel: Kernel, path: string) {
    this.#kernel = kernel
    this.path = path
  }

  exists(): boolean {
    const net = this.#kernel.find(this.path)
    net?.close()
    return net !== undefined
  }

  /** Whether the device is there and up, which is looked at often. */
  isUp(mtu: number): boolean {
    return this.#inside(net => {
      const link = net.links.find(DEVICE)
      return link !== undefined && link.isUp && link.mtu === mtu
    }, false)
  }

  /**
   * Makes namespace and device, or sets right what there is.
   *
   * @throws {CniError} code 50 when this kernel has no WireGuard, or the port is taken
   */
  ensure(wanted: CarrierDevice): void {
    // Another key or range: what was made with the former one goes, and with it every tunnel, which is made anew.
    if (this.#hasOtherAddress(wanted.address)) this.remove()
    const isNew = !this.exists()
    if (isNew) this.#make()
    const host = this.#kernel.host()
    try {
      const net = this.#kernel.open(this.path)
      try {
        ensureDevice(host, net, wanted)
      } finally {
        net.close()
      }
    } catch (error) {
      if (isNew) this.remove()
      throw asUnavailable(error, wanted)
    } finally {
      host.close()
    }
  }

  #make(): void {
    this.#endpoints.clear()
    const fd = newNetns()
    try {
      pinNetns(fd, this.path)
    } finally {
      closeSync(fd)
    }
  }

  /** Makes exactly these the device's peers. */
  setPeers(peers: readonly Peer[], keepalive: number): void {
    this.#withWireGuard(wireguard => {
      const present = new Map(wireguard.get(DEVICE).peers.map(peer => [base64(peer.publicKey), peer]))
      const wanted = new Set(peers.map(peer => peer.key))
      const gone = [...present]
        .filter(([key]) => !wanted.has(key))
        .map(([key, peer]) => {
          this.#endpoints.delete(key)
          return { publicKey: peer.publicKey, flags: WGPEER_F_REMOVE_ME, allowedIps: [] }
        })
      const changed = peers.flatMap(peer => this.#change(peer, present.get(peer.key), keepalive))
      if (gone.length + changed.length > 0) wireguard.set(DEVICE, { peers: [...gone, ...changed] })
    })
  }

  /** A peer as it has to be set; nothing when it is right. */
  #change(peer: Peer, present: WgPeer | undefined, keepalive: number): readonly WgPeer[] {
    const { key, address } = peer
    const endpoint = endpointText(peer.endpoint)
    const [allowed, ...more] = present?.allowedIps ?? []
    const isAllowed =
      allowed !== undefined &&
      more.length === 0 &&
      addressesEqual(allowed.address, address) &&
      allowed.length === full(address)
    const isThere = present?.endpoint !== undefined && this.#endpoints.get(key) === endpoint
    if (isAllowed && isThere && (present?.keepalive ?? 0) === keepalive) return []
    this.#endpoints.set(key, endpoint)
    const publicKey = keyBytes(key) ?? new Uint8Array(0)
    return [
      {
        publicKey,
        flags: WGPEER_F_REPLACE_ALLOWEDIPS,
        keepalive,
        ...(isThere ? {} : { endpoint: peer.endpoint }),
        allowedIps: [{ address, length: full(address) }]
      }
    ]
  }

  /** By public key. */
  peerStates(): ReadonlyMap<string, PeerState> {
    const states = new Map<string, PeerState>()
    if (!this.exists()) return states
    this.#withWireGuard(wireguard => {
      for (const peer of wireguard.get(DEVICE).peers) {
        const { lastHandshake = 0, receivedBytes = 0, sentBytes = 0 } = peer
        states.set(base64(peer.publicKey), { lastHandshake, receivedBytes, sentBytes })
      }
    })
    return states
  }

  remove(): void {
    this.#endpoints.clear()
    unpinNetns(this.path)
  }

  #hasOtherAddress(address: IpAddress): boolean {
    return this.#inside(net => {
      const link = net.links.find(DEVICE)
      const present = link === undefined ? [] : net.addresses.list(link.index)
      return present.some(one => !addressesEqual(one.prefix.address, address))
    }, false)
  }

  #withWireGuard(work: (wireguard: WireGuard) => void): void {
    this.#inside(net => {
      const wireguard = new WireGuard(net)
      try {
        work(wireguard)
      } finally {
        wireguard.close()
      }
    }, undefined)
  }

  #inside<T>(work: (net: Net) => T, otherwise: T): T {
    const net = this.#kernel.find(this.path)
    if (net === undefined) return otherwise
    try {
      return work(net)
    } finally {
      net.close()
    }
  }
}

function ensureDevice(host: Net, carrier: Net, wanted: CarrierDevice): void {
  const { mtu, port, privateKey } = wanted
  if (carrier.links.find(DEVICE) === undefined) addDevice(host, carrier, mtu)
  const link = carrier.links.get(DEVICE)
  const wireguard = new WireGuard(carrier)
  try {
    const device = wireguard.get(DEVICE)
    const isRight = device.port === port && base64(device.publicKey ?? new Uint8Array(0)) === wanted.publicKey
    if (!isRight) wireguard.set(DEVICE, { privateKey, port, peers: [] })
  } finally {
    wireguard.close()
  }
  carrier.addresses.ensure(link.index, [{ prefix: hostPrefix(wanted.address), noDad: true }])
  if (!link.isUp || link.mtu !== mtu) carrier.links.set(link.index, { up: true, mtu })
  carrier.routes.replace({ dst: wanted.range, index: link.index })
}

function asUnavailable(error: unknown, { port, range }: CarrierDevice): Error {
  if (error instanceof CniError || !(error instanceof Error)) return asError(error)
  const advice =
    errnoOf(error) === 'EADDRINUSE'
      ? `UDP port ${port} of this host is taken: name another one in "encryption.port" of the agent`
      : range.address.family === 6
        ? 'a host without IPv6 needs an IPv4 range in "encryption.range", the same on all hosts'
        : ''
  return new CniError(NOT_AVAILABLE, `encrypt: ${error.message}`, advice)
}

/** Made by way of the host, whose its datagrams are to be. */
function addDevice(host: Net, carrier: Net, mtu: number): void {
  try {
    host.links.addIn(carrier, { name: DEVICE, kind: { kind: 'wireguard' }, mtu })
  } catch (error) {
    if (errnoOf(error) !== 'EOPNOTSUPP') throw error
    const advice = 'modprobe wireguard: the module is part of Linux 5.6 and newer'
    throw new CniError(NOT_AVAILABLE, `encrypt: ${messageOf(error)}`, advice)
  }
}

function full(address: IpAddress): number {
  return address.bytes.length * 8
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
