import { type Codec, testCodec } from '../../testing/codec-laws.ts'
import { suite } from '../../testing/suite.ts'
import { decodeChain, encodeChain } from './chain.ts'
import { type ConntrackTuple, decodeConntrackEntry, encodeConntrackEntry } from './conntrack.ts'
import type { Expression } from './expression.ts'
import { decodeBatchBegin, encodeBatchBegin, NFGENMSG } from './nfnetlink.ts'
import { decodeRule, encodeRule } from './rule.ts'
import { decodeSet, encodeSet } from './set.ts'
import { decodeElements, encodeElements } from './set-element.ts'
import { decodeTable, encodeTable } from './table.ts'
import { decodeTrace, encodeTrace } from './trace.ts'

const test = suite('lib/netlink/nf laws')

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values)
}

/** The kernel answers with more than is read here: handles, counters. */
function add<T>(codec: Omit<Codec<T>, 'header' | 'isPartial'>): void {
  testCodec(test, { ...codec, header: NFGENMSG, isPartial: true })
}

add({
  name: 'Table',
  encode: encodeTable,
  decode: decodeTable,
  samples: [{ family: 2, name: 'patchbay-portmap', flags: 1, use: 0 }]
})

add({
  name: 'Chain',
  encode: encodeChain,
  decode: decodeChain,
  samples: [
    { family: 10, table: 't', name: 'plain', hook: undefined, use: 0 },
    { family: 2, table: 't', name: 'base', hook: { type: 'nat', number: 4, priority: -100, policy: 0 }, use: 0 }
  ]
})

const EXPRESSIONS: readonly Expression[] = [
  { kind: 'bitwise', register: 1, mask: bytes(255, 0, 0, 0), xor: bytes(0, 1, 0, 0) },
  { kind: 'cmp', register: 9, operator: 5, value: bytes(0, 80) },
  { kind: 'counter', bytes: 4294967297, packets: 3 },
  { kind: 'ct', key: 20, register: 1, direction: 0 },
  { kind: 'ct', key: 0, register: 1, direction: undefined },
  { kind: 'dynset', set: 's', setId: 3, register: 9, operation: 1, counts: true },
  { kind: 'dynset', set: 's', setId: 0, register: 1, operation: 0, counts: false },
  { kind: 'fib', register: 1, result: 3, flags: 2 },
  { kind: 'hash', sourceRegister: 13, length: 4, register: 9, modulus: 251, seed: 7 },
  { kind: 'immediate', register: 1, value: bytes(1, 2, 3), verdict: undefined },
  { kind: 'immediate', register: 0, value: bytes(), verdict: { name: 'jump', chain: 'elsewhere' } },
  { kind: 'limit', rate: 10, unit: 60, burst: 5, type: 1, flags: 1 },
  { kind: 'lookup', set: 's', setId: 3, register: 1, dataRegister: 0, isInverted: false },
  { kind: 'lookup', set: 's', setId: 0, register: 1, dataRegister: undefined, isInverted: true },
  { kind: 'masq', flags: 16 },
  { kind: 'meta', key: 16, register: 2, isStore: false },
  { kind: 'meta', key: 3, register: 2, isStore: true },
  { kind: 'nat', type: 1, family: 10, addressRegister: 1, portRegister: 2 },
  { kind: 'numgen', register: 9, modulus: 5, type: 1 },
  { kind: 'payload', register: 13, base: 2, offset: 2, length: 2 },
  { kind: 'range', register: 1, operator: 1, first: bytes(0, 1), last: bytes(0, 9) },
  { kind: 'redir', portRegister: 1 },
  { kind: 'reject', type: 0, code: 3 }
]

add({
  name: 'Rule',
  encode: encodeRule,
  decode: decodeRule,
  samples: EXPRESSIONS.map(one => ({
    family: 2,
    table: 't',
    chain: 'c',
    handle: 0,
    expressions: [one],
    comment: 'words'
  }))
})

add({
  name: 'Set',
  encode: encodeSet,
  decode: decodeSet,
  samples: [
    {
      family: 2,
      table: 't',
      name: 's',
      key: ['ifname', 'ether_addr'],
      data: undefined,
      isInterval: false,
      counts: false,
      isDynamic: true,
      id: 1
    },
    {
      family: 2,
      table: 't',
      name: 's',
      key: ['ipv4_addr'],
      data: [],
      isInterval: false,
      counts: true,
      isDynamic: false,
      id: 2
    },
    {
      family: 10,
      table: 't',
      name: 's',
      key: ['ipv6_addr', 'inet_proto', 'inet_service'],
      data: ['ipv6_addr', 'mark'],
      isInterval: true,
      counts: false,
      isDynamic: false,
      id: 3
    }
  ]
})

add({
  name: 'Elements',
  encode: encodeElements,
  decode: decodeElements,
  samples: [
    {
      family: 2,
      table: 't',
      set: 's',
      setId: 4,
      elements: [
        { key: bytes(1, 2, 3, 4), keyEnd: bytes(1, 2, 3, 9), data: bytes(5), verdict: undefined, comment: 'whose' },
        { key: bytes(9), keyEnd: undefined, data: undefined, verdict: { name: 'goto', chain: 'c' }, comment: '' }
      ]
    }
  ]
})

const TUPLE: ConntrackTuple = {
  source: { family: 4, bytes: bytes(10, 0, 0, 1) },
  destination: { family: 4, bytes: bytes(10, 0, 0, 2) },
  protocol: 17,
  sourcePort: 5000,
  destinationPort: 53
}

add({
  name: 'ConntrackEntry',
  encode: tuple => encodeConntrackEntry(4, tuple),
  decode: payload => decodeConntrackEntry(payload).original,
  samples: [TUPLE]
})

add({
  name: 'Trace',
  encode: encodeTrace,
  decode: decodeTrace,
  samples: [
    {
      family: 2,
      table: 't',
      chain: 'c',
      handle: 7,
      type: 'rule',
      verdict: { name: 'goto', chain: 'x' },
      policy: undefined,
      id: 0xfedcba98,
      inputIndex: 2,
      outputIndex: 3,
      networkHeader: bytes(69, 0, 0, 21),
      transportHeader: bytes(1)
    },
    {
      family: 7,
      table: 't',
      chain: 'c',
      handle: 0,
      type: 'policy',
      verdict: undefined,
      policy: 'drop',
      id: 1,
      inputIndex: 0,
      outputIndex: 0,
      networkHeader: undefined,
      transportHeader: undefined
    }
  ]
})

add({ name: 'BatchBegin', encode: encodeBatchBegin, decode: decodeBatchBegin, samples: [7, undefined] })

test.run()
