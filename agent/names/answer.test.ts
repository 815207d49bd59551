/** Answers as bytes; whatever else a container may send is tried in fuzz/targets/names.ts. */
import { parseAddress } from '../../lib/ip/address.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { verdictOn } from './answer.ts'
import { type Named, Zone } from './zone.ts'

const test = suite('agent/names/answer')

function named(network: string, containerId: string, names: readonly string[], texts: readonly string[]): Named {
  const addresses = texts.map(parseAddress).filter(one => one !== undefined)
  const record = {
    netns: '',
    netnsId: '',
    names,
    addresses,
    gateways: [],
    links: [],
    domain: '',
    upstreams: [],
    isInternal: false,
    isCluster: false
  }
  return { network, containerId, ifName: 'eth0', host: '', record }
}

function zoneOf(...all: readonly Named[]): Zone {
  const zone = new Zone()
  for (const one of all) zone.set(one)
  return zone
}

/** A question by hand: header, labels, type, class. */
function question(name: string, type: number, more: readonly number[] = [], additional = 0): Uint8Array {
  const labels = name.split('.').flatMap(label => [label.length, ...Buffer.from(label)])
  return Uint8Array.from([0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional, ...labels, 0, 0, type, 0, 1, ...more])
}

const A = 1
const MANY = zoneOf(
  named(
    'blue',
    'c1',
    ['web'],
    Array.from({ length: 200 }, (_, i) => `10.4.0.${i}`)
  ),
  named('red', 'c2', ['secret'], ['203.0.113.9'])
)
const ASKER = [...MANY.all()].filter(one => one.network === 'blue')
/** OPT, of the root, 4096 bytes taken, nothing else (RFC 6891 section 6.1.2). */
const OPT = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]

/** The address of the one answer; a response code where there are none. */
function hostAnswers(asker: readonly Named[], zone: Zone, name: string): readonly string[] | string {
  const verdict = verdictOn(question(name, A), 'udp', asker, zone)
  if (verdict.do !== 'answer') return verdict.do
  const view = Buffer.from(verdict.bytes)
  const count = view.readUInt16BE(6)
  if (count === 0) return `code ${view.readUInt8(3) & 15}`
  return [[...view.subarray(-4)].join('.'), ...Array.from({ length: count - 1 }, () => 'another')]
}

test('the host by the names of Docker and podman: gateways that it has, of networks that may reach out', () => {
  const attachment = (network: string, gateway: string, isInternal = false): Named => {
    const one = named(network, 'c1', ['web'], ['10.4.0.2'])
    const gateways = [parseAddress(gateway)].filter(address => address !== undefined)
    return { ...one, record: { ...one.record, gateways, isInternal } }
  }
  const [bridge, macvlan, internal] = [
    attachment('blue', '10.4.0.1'),
    attachment('lan', '192.0.2.1'),
    attachment('closed', '10.4.0.1', true)
  ]
  const zone = zoneOf(bridge, macvlan, internal)
  zone.isOwnAddress = text => text === '10.4.0.1'
  for (const name of [
    'host.docker.internal',
    'HOST.Docker.internal',
    'gateway.docker.internal',
    'host.containers.internal'
  ])
    assert.equal(hostAnswers([bridge, macvlan], zone, name), ['10.4.0.1'], name)
  // A router of somebody else's network is not the host: others may know who is.
  assert.is(hostAnswers([macvlan], zone, 'host.docker.internal'), 'forward')
  assert.is(hostAnswers([internal], zone, 'host.docker.internal'), 'code 3')
  assert.is(hostAnswers([bridge], zone, 'other.docker.internal'), 'forward')
  // A container that the runtime calls so comes first.
  zone.set({ ...named('blue', 'c9', ['host.docker.internal'], ['10.4.0.9']) })
  assert.equal(hostAnswers([bridge], zone, 'host.docker.internal'), ['10.4.0.9'])
})

test('truncation: 512 bytes without EDNS0, 1232 with it, all of it by TCP', () => {
  const answers = (bytes: Uint8Array, transport: 'udp' | 'tcp'): readonly [number, boolean, number] => {
    const verdict = verdictOn(bytes, transport, ASKER, MANY)
    if (verdict.do !== 'answer') throw new Error(verdict.do)
    const view = Buffer.from(verdict.bytes)
    return [view.readUInt16BE(6), (view.readUInt8(2) & 2) !== 0, view.length <= 1232 ? 0 : 1]
  }
  assert.equal(answers(question('web', A), 'udp'), [0, true, 0])
  assert.equal(answers(question('web', A, OPT, 1), 'udp'), [0, true, 0])
  assert.equal(answers(question('web', A), 'tcp'), [200, false, 1])
})

test('a link is the asker’s own word for another container', () => {
  const web = named('blue', 'c1', ['web'], ['10.4.0.2'])
  const db = named('blue', 'c2', ['mysql', 'x'], ['10.4.0.3'])
  const linking = { ...web, record: { ...web.record, links: [{ alias: 'db', target: 'mysql' }] } }
  const zone = zoneOf(linking, db, named('blue', 'c3', ['x'], ['10.4.0.4']))
  const lastByte = (name: string, asker: Named): number | string => {
    const verdict = verdictOn(question(name, A), 'udp', [asker], zone)
    return verdict.do === 'answer' ? (verdict.bytes.at(-1) ?? 0) : verdict.do
  }
  assert.is(lastByte('db', linking), 3)
  assert.is(lastByte('DB.blue', linking), 3)
  assert.is(lastByte('db', db), 'forward')
  assert.is(lastByte('mysql', linking), 3)
})

test('the question comes back byte for byte; of EDNS only version 0 is known', () => {
  const told = (bytes: Uint8Array): Buffer => {
    const verdict = verdictOn(bytes, 'udp', ASKER, MANY)
    if (verdict.do !== 'answer') throw new Error(verdict.do)
    return Buffer.from(verdict.bytes)
  }
  const odd = question('tasks.web0', A).with(20, 0xff)
  assert.is(told(odd).toString('hex', 12), Buffer.from(odd).toString('hex', 12))
  assert.is(told(odd).readUInt16BE(4), 1)
  const later = told(question('web', A, OPT.with(6, 1), 1))
  // The code's upper eight bits are the first byte of the OPT record's TTL: 16 = BADVERS.
  assert.equal([later.readUInt8(3) & 15, later.readUInt16BE(6), later.readUInt8(later.length - 6)], [0, 0, 1])
})

test('what is no question is not answered, so that two servers never talk; what cannot be read is said so', () => {
  const codeOf = (bytes: Uint8Array): string => {
    const verdict = verdictOn(bytes, 'udp', ASKER, MANY)
    return verdict.do === 'answer' ? String((verdict.bytes[3] ?? 0) & 15) : verdict.do
  }
  const changed = (at: number, value: number): Uint8Array => question('web', A).with(at, value)
  assert.is(codeOf(new Uint8Array(11)), 'ignore')
  assert.is(codeOf(changed(2, 0x80)), 'ignore')
  assert.is(codeOf(changed(2, 0x28)), '4')
  assert.is(codeOf(changed(5, 2)), '1')
  assert.is(codeOf(changed(12, 0xff)), '1')
  assert.is(codeOf(question('other', A)), 'forward')
  // AXFR and IXFR (RFC 5936, RFC 1995): nobody copies a zone in the host's name.
  for (const type of [252, 251]) assert.is(codeOf(question('other', type)), '5')
  assert.is(codeOf(question('secret', A)), 'forward')
  assert.is(codeOf(question('tasks.secret', A)), '3')
})

test.run()
