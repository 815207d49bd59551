/** Everything that is fuzzed in one process; the engines' executables have a place of their own, engine-calls.ts. */
import type { Target } from './target.ts'
import { dnsQuestion } from './targets/names.ts'
import { netlinkDatagram, netlinkNetfilter, netlinkRoute, netlinkWireGuard } from './targets/netlink.ts'
import { dbus, dhcp6Frame, dhcp6Message, dhcpFrame, dhcpMessage } from './targets/packets.ts'
import { address, documents, hash, json, lines, prefix, result } from './targets/texts.ts'

export const TARGETS: readonly Target[] = [
  ...[netlinkRoute, netlinkNetfilter, netlinkWireGuard, netlinkDatagram],
  ...[json, address, prefix, hash, result, documents, lines],
  ...[dhcpMessage, dhcpFrame, dhcp6Message, dhcp6Frame, dbus, dnsQuestion]
]
