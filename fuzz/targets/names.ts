/** Questions of containers: what is answered is an answer to the question, and tells nothing of networks the asker is not on. */
import { decode } from 'dns-packet'
import { verdictOn } from '../../agent/names/answer.ts'
import { NOTHING_LOCAL } from '../../agent/names/cluster-names.ts'
import { type Named, Zone } from '../../agent/names/zone.ts'
import { parseAddress } from '../../lib/ip/address.ts'
import { changedBytes } from '../grammar.ts'
import { law, type Target } from '../target.ts'

/** The address of a container on a network that the asker is not on. */
const SECRET = Buffer.from([203, 0, 113, 9])
const LONGEST = 1232
const HEADER = 12

function named(network: string, containerId: string, names: readonly string[], texts: readonly string[]): Named {
  const addresses = texts.map(parseAddress).filter(one => one !== undefined)
  const nothing = { ...NOTHING_LOCAL, domain: '', isCluster: false }
  return { network, containerId, ifName: 'eth0', host: '', record: { ...nothing, names, addresses } }
}

const zone = new Zone()
const asker = named('blue', 'c0', ['self'], ['10.4.0.2', 'fd00::2'])
for (const one of [
  asker,
  named('blue', 'c1', ['web', 'many'], ['10.4.0.3', 'fd00::3']),
  ...Array.from({ length: 100 }, (_, i) => named('blue', `m${i}`, ['many'], [`10.4.1.${i}`])),
  named('red', 'c2', ['secret'], ['203.0.113.9'])
]) {
  zone.set(one)
}

const NAMES = ['web', 'Web.Blue', 'tasks.web', 'many', 'secret.red', '3.0.4.10.in-addr.arpa', 'www.example.org', '']
/** A, PTR, AAAA, ANY. */
const TYPES: readonly number[] = [1, 12, 28, 255]

/** A question by hand: header, labels, type, class, and with `version` what the asker can take (RFC 6891 section 6.1.2). */
function question(name: string, type: number, version: number | undefined): Uint8Array {
  const labels = name.split('.').flatMap(label => (label === '' ? [] : [label.length, ...Buffer.from(label)]))
  const options = version === undefined ? [] : [0, 0, 41, 0x10, 0, 0, version, 0, 0, 0, 0]
  const count = version === undefined ? 0 : 1
  return Uint8Array.from([
    ...[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, count],
    ...[...labels, 0, 0, type, 0, 1],
    ...options
  ])
}

const questions = NAMES.flatMap(name =>
  TYPES.flatMap(type => [undefined, 0, 1].map(version => question(name, type, version)))
)

/** Where labels, type and class of the first question end. */
function endOfQuestion(bytes: Uint8Array): number {
  let at = HEADER
  while (at < bytes.length && bytes[at] !== 0) at += (bytes[at] ?? 0) + 1
  return at + 5
}

function judge(input: Uint8Array): void {
  for (const transport of ['udp', 'tcp'] as const) {
    const verdict = verdictOn(input, transport, [asker], zone)
    if (verdict.do !== 'answer') continue
    const told = Buffer.from(verdict.bytes)
    law(told.length <= LONGEST || transport === 'tcp', () => `an answer of ${told.length} bytes`)
    law(told.subarray(0, 2).equals(input.subarray(0, 2)), () => 'another number')
    law(((told[2] ?? 0) & 0x80) !== 0, () => 'no answer')
    const [count, end] = [told.readUInt16BE(4), endOfQuestion(input)]
    law(count === 0 || told.subarray(HEADER, end).equals(input.subarray(HEADER, end)), () => 'another question')
    // Every record can be read.
    decode(told)
    law(!told.includes(SECRET) || Buffer.from(input).includes(SECRET), () => 'an address of a network it is not on')
  }
}

export const dnsQuestion: Target = {
  name: 'dns-question',
  make: random => changedBytes(questions, random),
  judge
}
