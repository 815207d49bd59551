import { parseAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { verdictOn } from './answer.ts'
import { NOTHING_LOCAL } from './cluster-names.ts'
import { KnownAnswers } from './known-answers.ts'
import { type Named, Zone } from './zone.ts'

const test = suite('agent/names/known-answers')

/** `web A` under a number, by hand. @source RFC 1035 section 4.1 */
function question(number: number): Buffer {
  return Buffer.from([number >> 8, number & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0x77, 0x65, 0x62, 0, 0, 1, 0, 1])
}

function web(...texts: readonly string[]): Named {
  const addresses = texts.map(parseAddress).filter(one => one !== undefined)
  const nothing = { ...NOTHING_LOCAL, domain: '', isInternal: true, isCluster: false }
  return {
    network: 'blue',
    containerId: 'c1',
    ifName: 'eth0',
    host: '',
    record: { ...nothing, names: ['web'], addresses }
  }
}

/** The last byte of each record's address. */
function lastBytes(answer: Uint8Array | undefined): string {
  if (answer === undefined) return 'unknown'
  // A header, the question, and records of 5 bytes of name, 10 more and an address.
  const records = answer.subarray(12 + 9)
  return Array.from({ length: records.length / 19 }, (_, i) => records[19 * (i + 1) - 1]).join()
}

test('an answer is known under any number, in every order, until something changes', () => {
  const zone = new Zone()
  const known = new KnownAnswers()
  const named = web('10.4.0.2', '10.4.0.3', '10.4.0.4')
  zone.set(named)
  const ask = (number: number): Uint8Array => {
    const verdict = verdictOn(question(number), 'udp', [named], zone)
    if (verdict.do !== 'answer') throw new Error(verdict.do)
    return verdict.bytes
  }
  assert.is(known.find(question(1), 'udp', zone.revision), undefined)
  const first = ask(1)
  known.keep(question(1), 'udp', first)
  const before = Buffer.from(first)
  const orders = new Set<string>()
  for (let i = 0; i < 1000; i += 1) {
    const answer = known.find(question(0xabcd), 'udp', zone.revision)
    assert.equal([...(answer ?? []).slice(0, 2)], [0xab, 0xcd])
    orders.add(lastBytes(answer))
  }
  assert.equal([...orders].sort(), ['2,3,4', '2,4,3', '3,2,4', '3,4,2', '4,2,3', '4,3,2'])
  // Each is one of its own: what was given away does not change.
  assert.ok(before.equals(first))
  assert.is(known.find(question(1), 'tcp', zone.revision), undefined)
  zone.set(web('10.4.0.9'))
  assert.is(known.find(question(1), 'udp', zone.revision), undefined)
  assert.is(lastBytes(ask(1)), '9')
})

test('a service that comes or goes is a change', () => {
  const zone = new Zone()
  const seen = [zone.revision]
  zone.setService('blue', 'web', { alias: 'web', addresses: [] })
  seen.push(zone.revision)
  zone.deleteService('blue', 'web')
  seen.push(zone.revision)
  assert.is(new Set(seen).size, 3)
})

test('who asks for something else each time takes no more memory', () => {
  const known = new KnownAnswers()
  const answer = new Uint8Array(40)
  known.find(question(0), 'udp', 1)
  const other = (number: number): Buffer => {
    const bytes = question(0)
    bytes.writeUInt16BE(number, 13)
    return bytes
  }
  for (let i = 0; i < 1000; i += 1) known.keep(other(i), 'udp', answer)
  const left = Array.from({ length: 1000 }, (_, i) => known.find(other(i), 'udp', 1)).filter(one => one !== undefined)
  assert.ok(left.length > 0 && left.length <= 128, String(left.length))
  known.keep(Buffer.concat([question(7), Buffer.alloc(2000)]), 'udp', answer)
  assert.is(known.find(Buffer.concat([question(7), Buffer.alloc(2000)]), 'udp', 1), undefined)
})

test.run()
