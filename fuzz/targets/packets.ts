/** What comes over the network and the system bus. */
import { arpProbe, holderIn, solicitation } from '../../dhcp/duplicates.ts'
import { grantOf } from '../../dhcp/grant.ts'
import { decodeMessage, encodeMessage, type Message, typeOf } from '../../dhcp/message.ts'
import type { OptionsConfig } from '../../dhcp/options-config.ts'
import { checksum, decodeFrame, encodeFrame } from '../../dhcp/udp-frame.ts'
import { grantOf as grantOf6 } from '../../dhcp/v6/grant.ts'
import {
  decodeMessage as decodeMessage6,
  encodeMessage as encodeMessage6,
  type Message as Message6
} from '../../dhcp/v6/message.ts'
import { decodeFrame as decodeFrame6, encodeFrame as encodeFrame6 } from '../../dhcp/v6/udp-frame.ts'
import { resultFromJson } from '../../lib/cni/result-json.ts'
import { decodeAnswer } from '../../lib/firewalld/dbus.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { plain } from '../../lib/testing/codec-laws.ts'
import type { Random } from '../../lib/testing/mutation.ts'
import { bytesOf, changedBytes, joined } from '../grammar.ts'
import { law, reading, type Target } from '../target.ts'

const REFUSALS = ['DhcpDecodeError', 'DecodeError']
const ANY: IpAddress = { family: 4, bytes: Uint8Array.of(0, 0, 0, 0) }
const YOURS: IpAddress = { family: 4, bytes: Uint8Array.of(10, 1, 2, 3) }
const YOURS_6: IpAddress = { family: 6, bytes: Uint8Array.of(0xfd, ...new Uint8Array(14), 9) }
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1)

/** An acknowledgement with every option that is read. */
const ACK: Message = {
  ...{ isReply: true, xid: 7, seconds: 0, broadcast: false, ciaddr: ANY, yiaddr: YOURS, chaddr: MAC },
  options: new Map([
    [53, Uint8Array.of(5)],
    [1, Uint8Array.of(255, 255, 255, 0)],
    [3, Uint8Array.of(10, 1, 2, 1)],
    [6, Uint8Array.of(1, 1, 1, 1, 8, 8, 8, 8)],
    [15, bytesOf('example.org')],
    [33, Uint8Array.of(10, 9, 0, 0, 10, 1, 2, 1)],
    [51, Uint8Array.of(0, 0, 14, 16)],
    [52, Uint8Array.of(3)],
    [54, Uint8Array.of(10, 1, 2, 1)],
    [58, Uint8Array.of(0, 0, 7, 8)],
    [59, Uint8Array.of(0, 0, 12, 78)],
    [119, Uint8Array.of(7, 101, 120, 97, 109, 112, 108, 101, 3, 111, 114, 103, 0, 3, 119, 119, 119, 0xc0, 0)],
    [121, Uint8Array.of(24, 10, 9, 0, 10, 1, 2, 1, 0, 10, 1, 2, 1)]
  ])
}
/** Everything that there is. */
const ASKED: OptionsConfig = {
  request: Array.from({ length: 256 }, (_, code) => code),
  provide: new Map(),
  priority: 5,
  probe: 0
}
const messages = [encodeMessage(ACK), encodeMessage({ ...ACK, options: new Map([[53, Uint8Array.of(2)]]) })]

export const dhcpMessage: Target = {
  name: 'dhcp-message',
  make: random => {
    const bytes = changedBytes(messages, random)
    // What comes before the options is judged at a glance: mostly it shall be right.
    return random.below(4) === 0 ? bytes : joined((messages[0] ?? bytes).subarray(0, 240), bytes.subarray(240))
  },
  judge: input => {
    const message = reading(() => decodeMessage(input), REFUSALS)
    if (message === undefined) return
    reading(() => typeOf(message), REFUSALS)
    const grant = reading(() => grantOf(message, ASKED), REFUSALS)
    if (grant !== undefined) resultFromJson(grant.result, '1.1.0', 'result')
    const [before, after] = [message, decodeMessage(encodeMessage(message))].map(visible)
    law(before === after, () => `decoded as ${before}, then as ${after}`)
  }
}

/** Overloaded fields move into the options. */
function visible({ options, ...rest }: Message): string {
  const all = [...options].filter(([code]) => code !== 52).map(([code, bytes]) => [code, plain(bytes)])
  return JSON.stringify([plain(rest), all.sort()])
}

/** As a server sends them: the ports the other way round. */
const frames = messages.map(message => {
  const frame = encodeFrame({ from: YOURS, to: YOURS, fromMac: MAC, toMac: MAC }, message)
  frame.set([0, 67, 0, 68], 34)
  return frame
})

/** Every other frame gets a right checksum: otherwise hardly any would be looked into. */
function changedFrame(random: Random): Uint8Array {
  const frame = changedBytes(frames, random)
  if (frame.length < 34 || random.below(2) === 0) return frame
  frame.set([0, 0], 24)
  const header = ((frame[14] ?? 0) & 15) * 4
  const sum = checksum(frame.subarray(14, 14 + header))
  frame.set([sum >> 8, sum & 255], 24)
  return frame
}

export const dhcpFrame: Target = {
  name: 'dhcp-frame',
  make: changedFrame,
  judge: input => {
    const received = reading(() => decodeFrame(input), REFUSALS)
    if (received !== undefined) reading(() => decodeMessage(received.payload), REFUSALS)
  }
}

/** A REPLY with everything that is read: server, association 7 with an address and a status, name servers, a search list. */
const REPLY_6: Message6 = {
  type: 7,
  xid: 0x0a0b0c,
  options: [
    [1, Uint8Array.of(0, 4, 1, 2)],
    [2, Uint8Array.of(0, 1, 1)],
    [
      3,
      joined(
        Uint8Array.of(0, 0, 0, 7, 0, 0, 0, 10, 0, 0, 0, 20, 0, 5, 0, 24, 0xfd, 0, 0, 0, 0, 0, 0, 0),
        Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 30, 0, 0, 0, 40, 0, 13, 0, 2, 0, 0)
      )
    ],
    [13, Uint8Array.of(0, 0)],
    [23, Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
    [24, Uint8Array.of(3, 111, 114, 103, 0)]
  ]
}

export const dhcp6Message: Target = {
  name: 'dhcp6-message',
  make: random => changedBytes([encodeMessage6(REPLY_6)], random),
  judge: input => {
    const message = reading(() => decodeMessage6(input), REFUSALS)
    if (message === undefined) return
    reading(() => grantOf6(message, 7), [...REFUSALS, 'Refusal'])
    const again = Buffer.from(encodeMessage6(message))
    law(again.equals(input), () => `${again.toString('hex')} of ${Buffer.from(input).toString('hex')}`)
  }
}

const ANSWER_6 = encodeFrame6(MAC, { family: 6, bytes: new Uint8Array(16) }, encodeMessage6(REPLY_6))
ANSWER_6.set([2, 0x23, 2, 0x22], 54)

/** What a client reads off its link: datagrams, and who has an address. */
export const dhcp6Frame: Target = {
  name: 'dhcp6-frame',
  make: random => changedBytes([ANSWER_6, arpProbe(MAC, YOURS), solicitation(MAC, YOURS_6)], random),
  judge: input => {
    reading(() => decodeFrame6(input), REFUSALS)
    for (const address of [YOURS, YOURS_6]) {
      const length = holderIn(input, address)?.length
      law(length === undefined || length === 6, () => `a MAC address of ${String(length)} bytes`)
    }
  }
}

/** An answer of firewalld, as the bus sends it: serial 2, in reply to 1, from `:1.4`, with a text. */
const dbusAnswer = joined(
  Uint8Array.of(0x6c, 2, 1, 1, 9, 0, 0, 0, 2, 0, 0, 0, 31, 0, 0, 0),
  Uint8Array.of(5, 1, 0x75, 0, 1, 0, 0, 0),
  Uint8Array.of(7, 1, 0x73, 0, 4, 0, 0, 0, 0x3a, 0x31, 0x2e, 0x34, 0, 0, 0, 0),
  Uint8Array.of(8, 1, 0x67, 0, 1, 0x73, 0, 0),
  Uint8Array.of(4, 0, 0, 0, 0x7a, 0x6f, 0x6e, 0x65, 0)
)

export const dbus: Target = {
  name: 'dbus',
  make: random => changedBytes([dbusAnswer], random),
  judge: input => {
    reading(() => decodeAnswer(input), REFUSALS)
  }
}
