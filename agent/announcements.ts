/**
 * Announcements of addresses that the registry does not know: an address that floats between containers of several hosts
 * (keepalived's) is announced by gratuitous ARP when it moves. A bridge that answers questions for its tunnel keeps
 * announcements from it, too, so neighbours on other hosts would send to the former holder until they ask again.
 *
 * @source net/bridge/br_arp_nd_proxy.c: gratuitous ARP and unsolicited advertisements do not reach suppressing ports
 */
import { formatAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { closePacketSocket, openAnnouncementSocket, receiveFrame, sendFrame } from '../lib/sys/packet-socket.ts'

const ETH_P_ARP = 0x0806
/** A container may announce more; the others do not hear of it. */
const MOST_IN_A_SECOND = 20

/** Whether the interface with that MAC may say so of that address. */
export type Judge = (mac: string, ip: string) => boolean

export class Announcements {
  readonly #bridge: number
  readonly #tunnel: number
  readonly #judge: Judge
  #second = 0
  #relayed = 0

  /** @throws {SysError} EPERM without CAP_NET_RAW, ENODEV when an interface is gone */
  constructor(bridgeIndex: number, tunnelIndex: number, judge: Judge) {
    this.#judge = judge
    this.#bridge = openAnnouncementSocket(bridgeIndex)
    try {
      this.#tunnel = openAnnouncementSocket(tunnelIndex)
    } catch (error) {
      closePacketSocket(this.#bridge)
      throw error
    }
  }

  /** Passes on what has come. @throws {SysError} when an interface has gone */
  relay(): void {
    for (let frame = receiveFrame(this.#bridge); frame !== undefined; frame = receiveFrame(this.#bridge)) {
      const said = saidBy(frame)
      if (said !== undefined && this.#judge(said.mac, said.ip) && this.#isInTime()) sendFrame(this.#tunnel, frame)
    }
    // What others announce comes in there, and goes its way over the bridge.
    while (receiveFrame(this.#tunnel) !== undefined);
  }

  close(): void {
    closePacketSocket(this.#bridge)
    closePacketSocket(this.#tunnel)
  }

  #isInTime(): boolean {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) this.#relayed = 0
    this.#second = second
    this.#relayed += 1
    return this.#relayed <= MOST_IN_A_SECOND
  }
}

/** undefined for a frame that speaks of another interface than the one it comes from. */
function saidBy(frame: Uint8Array): { readonly mac: string; readonly ip: string } | undefined {
  const mac = formatMac(frame.subarray(6, 12))
  const isArp = (frame[12] ?? 0) * 256 + (frame[13] ?? 0) === ETH_P_ARP
  if (!isArp) {
    // The advertisement's target, behind Ethernet, IPv6 and ICMPv6 headers.
    return frame.length < 78 ? undefined : { mac, ip: formatAddress({ family: 6, bytes: frame.slice(62, 78) }) }
  }
  if (frame.length < 42 || formatMac(frame.subarray(22, 28)) !== mac) return undefined
  return { mac, ip: formatAddress({ family: 4, bytes: frame.slice(28, 32) }) }
}
