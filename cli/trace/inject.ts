/**
 * A packet from outside: received by an interface of the host that nothing has sent it to.
 *
 * A tap interface of our own receives it, and tc hands it on into the interface. With the tap's file all of it is gone,
 * however the command ends.
 *
 * @source linux/if_tun.h; linux/tc_act/tc_mirred.h TCA_INGRESS_REDIR
 */
import { writeSync } from 'node:fs'
import { Writer } from '../../lib/bytes/writer.ts'
import { parseMac } from '../../lib/ip/mac.ts'
import type { Net } from '../../lib/net/net.ts'
import { closeDescriptor } from '../../lib/sys/files.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { openTap } from '../../lib/sys/tap.ts'
import type { LinkView } from '../../lib/view/model.ts'

const ETHERTYPES = { 4: 0x0800, 6: 0x86dd } as const
/** Locally administered, and nobody's. */
const SENDER = new Uint8Array([0x02, 0x70, 0x62, 0x74, 0x72, 0x00])

/**
 * @param host the namespace that the link is in
 * @param link Ethernet
 * @param packet from the IP header on
 * @throws {KernelError, SysError} where the kernel lacks tun, clsact or mirred
 */
export function inject(host: Net, link: LinkView, family: 4 | 6, packet: Uint8Array): void {
  const mac = parseMac(link.mac) ?? new Uint8Array(6)
  // Its number is free: what bears it is of a process that is gone, and went with it.
  const name = `pbtrace${String(process.pid)}`.slice(0, 15)
  const fd = inNamespace(host.namespaceFd(), () => openTap(name))
  try {
    const tap = host.links.get(name)
    // A frame for another MAC address would be marked as somebody else's.
    host.links.set(tap.index, { mac, up: true })
    host.qdiscs.replace(tap.index, { kind: 'ingress' })
    host.filters.add(tap.index, { hook: 'ingress', priority: 1, redirectIndex: link.index, isIngress: true })
    writeSync(fd, new Writer().bytes(mac).bytes(SENDER).u16be(ETHERTYPES[family]).bytes(packet).finish())
  } finally {
    closeDescriptor(fd)
  }
}
