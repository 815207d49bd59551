/**
 * The other hosts of a tunnel without registry: frames to many and to unknown go to each of them (head-end replication);
 * what comes back tells the tunnel which MAC is where.
 */
import { sameBytes } from '../bytes/compare.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../ip/address.ts'
import type { Link } from '../net/links.ts'
import type { FdbEntry } from '../net/neighbours.ts'
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
  const flooding = host.fdb.list(link.index).filter(isFlooding)
  for (const peer of peers) {
    if (!flooding.some(entry => leadsTo(entry, peer))) {
      host.fdb.append(link.index, { mac: ALL_ZEROS, dst: peer, self: true, permanent: true })
    }
  }
  for (const entry of flooding) {
    if (!peers.some(peer => leadsTo(entry, peer)))
      host.fdb.remove(link.index, { mac: ALL_ZEROS, dst: entry.dst, self: true })
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
  const flooding = host.fdb.list(link.index).filter(isFlooding)
  return peers
    .filter(peer => !flooding.some(entry => leadsTo(entry, peer)))
    .map(peer => `link ${JSON.stringify(link.name)} does not send to peer ${formatAddress(peer)}`)
}

function isFlooding(entry: FdbEntry): boolean {
  return entry.self === true && sameBytes(entry.mac, ALL_ZEROS)
}

function leadsTo(entry: FdbEntry, host: IpAddress): boolean {
  return entry.dst !== undefined && addressesEqual(entry.dst, host)
}
