/** What comes over the network and the system bus. */
import { grantOf } from '../../dhcp/grant.ts'
import { decodeMessage, encodeMessage, type Message, typeOf } from '../../dhcp/message.ts'
import type { OptionsConfig } from '../../dhcp/options-config.ts'
import { checksum, decodeFrame, encodeFrame } from '../../dhcp/udp-frame.ts'
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
  priority: 5
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
