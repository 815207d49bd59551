/** Messages of the kernel: whatever bytes come, they are decoded or refused by a DecodeError, and what was decoded stays. */
import { readFileSync } from 'node:fs'
import { decodeFamily } from '../../lib/netlink/generic.ts'
import { decodeMessages, decodeVerdict } from '../../lib/netlink/message.ts'
import { decodeChain } from '../../lib/netlink/nf/chain.ts'
import { decodeConntrackEntry } from '../../lib/netlink/nf/conntrack.ts'
import { decodeGeneration } from '../../lib/netlink/nf/generation.ts'
import { decodeBatchBegin } from '../../lib/netlink/nf/nfnetlink.ts'
import { decodeRule as decodeNfRule } from '../../lib/netlink/nf/rule.ts'
import { decodeSet } from '../../lib/netlink/nf/set.ts'
import { decodeElements } from '../../lib/netlink/nf/set-element.ts'
import { decodeTable } from '../../lib/netlink/nf/table.ts'
import { decodeComment } from '../../lib/netlink/nf/user-data.ts'
import { decodeAddress, encodeAddress } from '../../lib/netlink/rt/address.ts'
import { decodeLink, encodeLink } from '../../lib/netlink/rt/link.ts'
import { decodeNeighbour, encodeNeighbour } from '../../lib/netlink/rt/neighbour.ts'
import { decodeNetnsId, encodeNetnsId } from '../../lib/netlink/rt/netns-id.ts'
import { decodeRoute, encodeRoute } from '../../lib/netlink/rt/route.ts'
import { decodeRule, encodeRule } from '../../lib/netlink/rt/rule.ts'
import { decodeTc, encodeTc } from '../../lib/netlink/rt/tc.ts'
import { decodeBridgeLink, decodeVlanMessage, encodeBridgeLink, encodeVlanMessage } from '../../lib/netlink/rt/vlan.ts'
import { decodeDevice } from '../../lib/netlink/wg/wireguard.ts'
import { plain } from '../../lib/testing/codec-laws.ts'
import { readGoldens } from '../../lib/testing/golden.ts'
import { changedBytes, joined } from '../grammar.ts'
import { law, reading, type Target } from '../target.ts'

const REFUSALS = ['DecodeError']

/** Reads one message. */
type Check = (bytes: Uint8Array) => void

/**
 * What was decoded encodes to bytes that decode to the same again. A name of bytes that are no UTF-8 is read with U+FFFD in their
 * place, which may be longer than a name can be: such a message may be refused when it is to be written.
 */
function both<T>(decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array): Check {
  return bytes => {
    const value = reading(() => decode(bytes), REFUSALS)
    if (value === undefined) return
    const before = JSON.stringify(plain(value))
    const encoded = reading(() => encode(value), before.includes('\ufffd') ? ['EncodeError'] : [])
    if (encoded === undefined) return
    const after = JSON.stringify(plain(decode(encoded)))
    law(before === after, () => `decoded as ${before}, then as ${after}`)
  }
}

function only(decode: (bytes: Uint8Array) => unknown): Check {
  return bytes => {
    reading(() => decode(bytes), REFUSALS)
  }
}

const ROUTE: readonly Check[] = [
  both(decodeLink, encodeLink),
  both(decodeAddress, encodeAddress),
  both(decodeRoute, encodeRoute),
  both(decodeNeighbour, encodeNeighbour),
  both(decodeRule, encodeRule),
  both(decodeTc, encodeTc),
  both(decodeBridgeLink, encodeBridgeLink),
  both(decodeVlanMessage, encodeVlanMessage),
  both(decodeNetnsId, encodeNetnsId),
  only(bytes => decodeLink(bytes, false)),
  only(bytes => decodeAddress(bytes, false))
]

const NETFILTER: readonly Check[] = [
  ...[decodeTable, decodeChain, decodeSet, decodeElements, decodeNfRule, decodeConntrackEntry].map(only),
  ...[decodeGeneration, decodeBatchBegin, decodeComment, decodeFamily].map(only)
]

/** The first byte says who reads the rest. */
function judgeBy(checks: readonly Check[]): (input: Uint8Array) => void {
  return input => checks[(input[0] ?? 0) % checks.length]?.(input.subarray(1))
}

const goldens = readGoldens(new URL('../../lib/netlink/rt/testdata/', import.meta.url)).map(golden => golden.bytes)

const sent = readFileSync(new URL('../../lib/netlink/nf/testdata/nft-1.0.6.mnl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map(line => Uint8Array.from(Buffer.from(line.split(' ')[1] ?? '', 'hex')))

const datagrams = [...goldens, ...sent].map(payload => {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + payload.length, 0)
  header.writeUInt16LE(payload.length % 5, 4)
  header.writeUInt16LE(0x302, 6)
  return joined(header, payload, new Uint8Array(-payload.length & 3))
})

export const netlinkRoute: Target = {
  name: 'netlink-route',
  make: random => joined(Uint8Array.of(random.below(ROUTE.length)), changedBytes(goldens, random)),
  judge: judgeBy(ROUTE)
}

export const netlinkNetfilter: Target = {
  name: 'netlink-netfilter',
  make: random => joined(Uint8Array.of(random.below(NETFILTER.length)), changedBytes(sent, random)),
  judge: judgeBy(NETFILTER)
}

const wireguard = readGoldens(new URL('../../lib/netlink/wg/testdata/', import.meta.url)).map(golden => golden.bytes)

export const netlinkWireGuard: Target = {
  name: 'netlink-wireguard',
  make: random => changedBytes(wireguard, random),
  judge: only(decodeDevice)
}

export const netlinkDatagram: Target = {
  name: 'netlink-datagram',
  make: random => changedBytes(datagrams, random),
  judge: input => {
    const messages = reading(() => decodeMessages(input), REFUSALS)
    for (const message of messages ?? []) reading(() => decodeVerdict(message), REFUSALS)
  }
}
