/** A router advertisement as any container with CAP_NET_RAW can send it. @source RFC 4861, sections 4.2 and 4.6.2 */
import { closeSync, openSync } from 'node:fs'
import { inNamespace } from '../sys/netns.ts'
import { closePacketSocket, openPacketSocket, sendFrame } from '../sys/packet-socket.ts'
import { ipLink } from './ip-json.ts'
import type { Namespace } from './namespace.ts'

const ALL_NODES = 'ff020000000000000000000000000001'
const ICMPV6 = 58

/** Sends one from fe80::66, default router for half an hour, with the prefix 2001:db8:bad::/64 for addresses. */
export function advertiseRouter(box: Namespace, ifName: string): void {
  const link = ipLink(box, ifName)
  const source = 'fe800000000000000000000000000066'
  // Type 134, code, checksum, hop limit 64, flags, lifetime 1800 s, two timers; then a prefix, on link and autonomous.
  const prefix = '030440c0000007080000070800000000' + '20010db80bad00000000000000000000'
  const body = Buffer.from(`8600000040000708${'00'.repeat(8)}${prefix}`, 'hex')
  const pseudo = Buffer.from(`${source}${ALL_NODES}${hex32(body.length)}${hex32(ICMPV6)}`, 'hex')
  body.writeUInt16BE(checksum(Buffer.concat([pseudo, body])), 2)
  const header = Buffer.from(`60000000${hex32(body.length).slice(4)}3aff${source}${ALL_NODES}`, 'hex')
  const ethernet = Buffer.from(`333300000001${link.address.replaceAll(':', '')}86dd`, 'hex')
  const namespace = openSync(box.path, 'r')
  try {
    const fd = inNamespace(namespace, () => openPacketSocket(link.ifindex, 0))
    sendFrame(fd, Buffer.concat([ethernet, header, body]))
    closePacketSocket(fd)
  } finally {
    closeSync(namespace)
  }
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/** @source RFC 1071 */
function checksum(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
