/**
 * The other hosts of a tunnel without registry: frames to many and to unknown go to each of them (head-end replication);
 * what comes back tells the tunnel which MAC is where.
 */
import { sameBytes } from '../bytes/compare.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../ip/address.ts'
import { hex } from '../ip/mac.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { bridgeMac, type Tunnel } from './tunnel.ts'

/** linux/if_vxlan.h: the entry for what no other entry is for */
const ALL_ZEROS: Uint8Array = new Uint8Array(6)

/** The peers that are not this host: a list may name all hosts and be the same on each. */
export function othersOf(own: readonly IpAddress[], peers: readonly IpAddress[]): readonly IpAddress[] {
  return peers.filter(peer => !own.some(address => addressesEqual(address, peer)))
}

/** Makes the tunnel send to exactly these. */
export function ensurePeers(host: Net, link: Link, peers: readonly IpAddress[]): void {
  const present = floodedHosts(host, link)
  const there = keysOf(present)
  for (const peer of peers) {
    if (there.has(keyOf(peer))) continue
    host.fdb.append(link.index, { mac: ALL_ZEROS, dst: peer, self: true, permanent: true })
  }
  const wanted = keysOf(peers)
  for (const dst of present) {
    if (!wanted.has(keyOf(dst))) host.fdb.remove(link.index, { mac: ALL_ZEROS, dst, self: true })
  }
}

/**
 * Every host's bridge has the gateway's MAC address, and its questions reach all hosts. With a fixed entry that leads to
 * nobody else the tunnel drops frames from another host's gateway instead of believing that ours has moved there.
 *
 * @source linux drivers/net/vxlan/vxlan_core.c vxlan_snoop
 */
export function pinGateway(host: Net, link: Link, tunnel: Tunnel): void {
  host.fdb.set(link.index, { mac: bridgeMac(tunnel), dst: tunnel.local, self: true, permanent: true })
}

/** What CHECK finds wrong with the list. */
export function peerProblems(host: Net, link: Link, peers: readonly IpAddress[]): readonly string[] {
  const there = keysOf(floodedHosts(host, link))
  return peers
    .filter(peer => !there.has(keyOf(peer)))
    .map(peer => `link ${JSON.stringify(link.name)} does not send to peer ${formatAddress(peer)}`)
}

/** Whom the tunnel sends to what is for many. */
function floodedHosts(host: Net, link: Link): readonly IpAddress[] {
  const hosts: IpAddress[] = []
  for (const { self, mac, dst } of host.fdb.list(link.index)) {
    if (self === true && dst !== undefined && sameBytes(mac, ALL_ZEROS)) hosts.push(dst)
  }
  return hosts
}

/** By which a thousand hosts are found among a thousand without comparing each with each. */
function keysOf(addresses: readonly IpAddress[]): Set<string> {
  const keys = new Set<string>()
  for (const address of addresses) keys.add(keyOf(address))
  return keys
}

function keyOf(address: IpAddress): string {
  return hex(address.bytes)
}
