/**
 * WireGuard devices: the messages of the generic netlink family `wireguard`.
 *
 * @source linux/wireguard.h; types by drivers/net/wireguard/netlink.c device_policy, peer_policy, allowedip_policy
 */
import { DecodeError } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import type { IpAddress } from '../../ip/address.ts'
import { headerRows } from '../generic.ts'
import { encodeRows, nest, nestList, type Rows, readingRows } from '../rows.ts'

/** WG_GENL_NAME */
export const WIREGUARD_FAMILY = 'wireguard'
const WG_GENL_VERSION = 1
const WG_CMD_GET_DEVICE = 0
const WG_CMD_SET_DEVICE = 1

/** Of `WgPeer.flags`. */
export const WGPEER_F_REMOVE_ME = 1
export const WGPEER_F_REPLACE_ALLOWEDIPS = 2

/** bytes, of every key */
const WG_KEY_LEN = 32
const IFNAMSIZ = 16
const AF_INET = 2
const AF_INET6 = 10

export interface WgDevice {
  readonly ifIndex?: number | undefined
  readonly name?: string | undefined
  readonly privateKey?: Uint8Array | undefined
  readonly publicKey?: Uint8Array | undefined
  /** WGDEVICE_F_*: 1 has the peers of the message take the place of all that are there. */
  readonly flags?: number | undefined
  /** UDP; 0 = any */
  readonly port?: number | undefined
  readonly mark?: number | undefined
  readonly peers: readonly WgPeer[]
}

export interface WgPeer {
  readonly publicKey: Uint8Array
  readonly presharedKey?: Uint8Array | undefined
  /** WGPEER_F_* */
  readonly flags?: number | undefined
  readonly endpoint?: WgEndpoint | undefined
  /** seconds; 0 = none */
  readonly keepalive?: number | undefined
  /** Seconds since 1970; 0 = never. The kernel tells. */
  readonly lastHandshake?: number | undefined
  readonly receivedBytes?: number | undefined
  readonly sentBytes?: number | undefined
  readonly allowedIps: readonly WgAllowedIp[]
}

/** Where a peer's datagrams go to. */
export interface WgEndpoint {
  readonly address: IpAddress
  /** UDP */
  readonly port: number
}

interface WgAllowedIp {
  readonly address: IpAddress
  /** Prefix length */
  readonly length: number
}

const NO_DEVICE: WgDevice = { peers: [] }
const NO_PEER: WgPeer = { publicKey: new Uint8Array(WG_KEY_LEN), allowedIps: [] }
const NO_ALLOWED_IP: WgAllowedIp = { address: { family: 4, bytes: new Uint8Array(4) }, length: 0 }

function deviceRows(rows: Rows, device: WgDevice, command: number): WgDevice {
  headerRows(rows, command, WG_GENL_VERSION)
  const given = device.peers.length === 0 ? undefined : device.peers
  return {
    ifIndex: rows.u32(1, 'WGDEVICE_A_IFINDEX', device.ifIndex),
    name: rows.text(2, 'WGDEVICE_A_IFNAME', device.name, IFNAMSIZ),
    privateKey: rows.bytes(3, 'WGDEVICE_A_PRIVATE_KEY', device.privateKey, WG_KEY_LEN),
    publicKey: rows.bytes(4, 'WGDEVICE_A_PUBLIC_KEY', device.publicKey, WG_KEY_LEN),
    port: rows.u16(6, 'WGDEVICE_A_LISTEN_PORT', device.port),
    mark: rows.u32(7, 'WGDEVICE_A_FWMARK', device.mark),
    flags: rows.u32(5, 'WGDEVICE_A_FLAGS', device.flags),
    peers: nest(rows.at(8, 'WGDEVICE_A_PEERS'), given, [], peersRows) ?? []
  }
}

/** In these lists every member is of type 0. */
function peersRows(rows: Rows, peers: readonly WgPeer[]): readonly WgPeer[] {
  return nestList(rows.at(0, 'WGDEVICE_A_PEERS[]'), peers, NO_PEER, peerRows)
}

function peerRows(rows: Rows, peer: WgPeer): WgPeer {
  const given = peer.allowedIps.length === 0 ? undefined : peer.allowedIps
  const publicKey = rows.bytes(1, 'WGPEER_A_PUBLIC_KEY', peer.publicKey, WG_KEY_LEN)
  if (publicKey === undefined) throw new DecodeError('WGPEER_A_PUBLIC_KEY', 'is missing')
  return {
    publicKey,
    presharedKey: rows.bytes(2, 'WGPEER_A_PRESHARED_KEY', peer.presharedKey, WG_KEY_LEN),
    endpoint: endpointRow(rows, peer.endpoint),
    keepalive: rows.u16(5, 'WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL', peer.keepalive),
    flags: rows.u32(3, 'WGPEER_A_FLAGS', peer.flags),
    lastHandshake: timeRow(rows, peer.lastHandshake),
    receivedBytes: rows.u64(7, 'WGPEER_A_RX_BYTES', peer.receivedBytes),
    sentBytes: rows.u64(8, 'WGPEER_A_TX_BYTES', peer.sentBytes),
    allowedIps: nest(rows.at(9, 'WGPEER_A_ALLOWEDIPS'), given, [], allowedIpsRows) ?? []
  }
}

function allowedIpsRows(rows: Rows, allowed: readonly WgAllowedIp[]): readonly WgAllowedIp[] {
  return nestList(rows.at(0, 'WGPEER_A_ALLOWEDIPS[]'), allowed, NO_ALLOWED_IP, allowedIpRows)
}

function allowedIpRows(rows: Rows, allowed: WgAllowedIp): WgAllowedIp {
  rows.u16(1, 'WGALLOWEDIP_A_FAMILY', allowed.address.family === 4 ? AF_INET : AF_INET6)
  const address = rows.address(2, 'WGALLOWEDIP_A_IPADDR', allowed.address)
  if (address === undefined) throw new DecodeError('WGALLOWEDIP_A_IPADDR', 'is missing')
  return { address, length: rows.u8(3, 'WGALLOWEDIP_A_CIDR_MASK', allowed.length) ?? 0 }
}

/** struct sockaddr_in or sockaddr_in6 */
function endpointRow(rows: Rows, endpoint: WgEndpoint | undefined): WgEndpoint | undefined {
  const symbol = 'WGPEER_A_ENDPOINT'
  const bytes = rows.bytes(4, symbol, endpoint === undefined ? undefined : socketAddress(endpoint))
  if (bytes === undefined) return undefined
  const family = bytes[0] ?? 0
  const port = (bytes[2] ?? 0) * 256 + (bytes[3] ?? 0)
  if (family === AF_INET && bytes.length === 16) return { address: { family: 4, bytes: bytes.slice(4, 8) }, port }
  if (family === AF_INET6 && bytes.length === 28) return { address: { family: 6, bytes: bytes.slice(8, 24) }, port }
  throw new DecodeError(symbol, `${String(bytes.length)} bytes of address family ${String(family)}`)
}

function socketAddress({ address, port }: WgEndpoint): Uint8Array {
  const writer = new Writer().u16(address.family === 4 ? AF_INET : AF_INET6).u16be(port)
  if (address.family === 4) return writer.bytes(address.bytes).bytes(new Uint8Array(8)).finish()
  return writer.u32(0).bytes(address.bytes).u32(0).finish()
}

/** struct __kernel_timespec, of which the nanoseconds are left out. */
function timeRow(rows: Rows, seconds: number | undefined): number | undefined {
  const given = seconds === undefined ? undefined : new Writer().u64(seconds).u64(0).finish()
  const bytes = rows.bytes(6, 'WGPEER_A_LAST_HANDSHAKE_TIME', given, 16)
  if (bytes === undefined) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.getUint32(4, true) * 4294967296 + view.getUint32(0, true)
}

/** Asks for one device, in answer to which a dump tells all of it. */
export function encodeGetDevice(name: string): Uint8Array {
  const device: WgDevice = { name, peers: [] }
  return encodeRows(device, (rows, given) => deviceRows(rows, given, WG_CMD_GET_DEVICE))
}

/** What is not given stays as it is. An attribute holds at most 64 KiB: pass a few hundred peers at once. */
export function encodeSetDevice(device: WgDevice): Uint8Array {
  return encodeRows(device, (rows, given) => deviceRows(rows, given, WG_CMD_SET_DEVICE))
}

/** One message of a dump: a device of many peers comes in several, and a peer of many addresses too. @throws {DecodeError} */
export function decodeDevice(payload: Uint8Array): WgDevice {
  return deviceRows(readingRows(payload, 'genlmsghdr', false), NO_DEVICE, WG_CMD_GET_DEVICE)
}
