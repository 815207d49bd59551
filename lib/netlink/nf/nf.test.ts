/**
 * testdata/nft-1.0.6.mnl holds what `nft --debug=mnl -f nft-1.0.6.nft` of nftables 1.0.6 sent: a message per line,
 * nlmsg_type and payload. Of services-nft-1.0.6.nft it has the rules, the set that counts and the one that packets fill.
 */
import { readFileSync } from 'node:fs'
import { readGoldens } from '../../testing/golden.ts'
import { assert, bytesEqual, suite } from '../../testing/suite.ts'
import { decodeChain, encodeChain, encodeChainName } from './chain.ts'
import { decodeConntrackEntry, encodeConntrackEntry, encodeConntrackFilter } from './conntrack.ts'
import type { Expression } from './expression.ts'
import * as nft from './nf-tables.ts'
import {
  decodeBatchBegin,
  encodeBatchBegin,
  encodeBatchEnd,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_IPV4,
  nfType
} from './nfnetlink.ts'
import { decodeRule, encodeRule } from './rule.ts'
import { decodeSet, encodeSet } from './set.ts'
import { decodeElements, encodeElementKeys, encodeElements } from './set-element.ts'
import { decodeTable, encodeTable, encodeTableName } from './table.ts'
import { decodeTrace } from './trace.ts'
import { decodeComment, encodeComment } from './user-data.ts'

const test = suite('lib/netlink/nf')

interface Sent {
  readonly type: number
  readonly payload: Uint8Array
}

const sent: readonly Sent[] = ['nft-1.0.6.mnl', 'services-nft-1.0.6.mnl'].flatMap(name =>
  readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map(line => {
      const [type, hex] = line.split(' ')
      return { type: Number(type), payload: fromHex(hex ?? '') }
    })
)

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

function ofType(message: number): readonly Uint8Array[] {
  const found = sent.filter(one => one.type === nfType(NFNL_SUBSYS_NFTABLES, message)).map(one => one.payload)
  assert.ok(found.length > 0, 'the golden file has such messages')
  return found
}

test('tables, chains and elements: byte for byte what nft sends', () => {
  for (const payload of ofType(nft.NFT_MSG_NEWTABLE)) bytesEqual(encodeTable(decodeTable(payload)), payload)
  for (const payload of ofType(nft.NFT_MSG_NEWCHAIN)) bytesEqual(encodeChain(decodeChain(payload)), payload)
  for (const payload of ofType(nft.NFT_MSG_NEWSETELEM)) bytesEqual(encodeElements(decodeElements(payload)), payload)
})

test('rules: byte for byte what nft sends, but for an attribute that names the default', () => {
  let exact = 0
  for (const payload of ofType(nft.NFT_MSG_NEWRULE)) {
    const rule = decodeRule(payload)
    const encoded = encodeRule(rule)
    assert.equal(decodeRule(encoded), rule)
    // Where a rule computes with a mark, nft adds NFTA_BITWISE_OP = NFT_BITWISE_BOOL.
    if (Buffer.from(payload).includes(fromHex('0800060000000000'))) continue
    bytesEqual(encoded, payload)
    exact += 1
  }
  assert.is(exact, 32)
})

test('rules: every expression of the golden file has a codec, except byteorder', () => {
  const kinds = new Set<string>()
  for (const payload of ofType(nft.NFT_MSG_NEWRULE)) {
    for (const one of decodeRule(payload).expressions) kinds.add(one.kind === 'other' ? `other ${one.name}` : one.kind)
  }
  assert.equal(
    [...kinds].sort(),
    'bitwise,cmp,counter,ct,dynset,fib,hash,immediate,limit,lookup,masq,meta,nat,numgen,other byteorder,payload,redir,reject'.split(
      ','
    )
  )
})

/** The payload up to NFTA_SET_USERDATA, where nft keeps notes for itself that differ between its versions. */
function withoutUserData(payload: Uint8Array): Uint8Array {
  const hex = Buffer.from(payload).toString('hex')
  const at = hex.indexOf('0d000004') - 4
  assert.ok(at > 0, 'user data begin with the byte order of the key')
  return payload.subarray(0, at / 2)
}

test('sets: byte for byte what nft sends, up to what nft notes for itself', () => {
  for (const payload of ofType(nft.NFT_MSG_NEWSET)) {
    const set = decodeSet(payload)
    bytesEqual(withoutUserData(encodeSet(set)), withoutUserData(payload))
    assert.equal(decodeSet(encodeSet(set)), set)
  }
})

test('batch: begin and end name the subsystem, begin the generation', () => {
  bytesEqual(encodeBatchBegin(undefined), fromHex('0000000a'))
  bytesEqual(encodeBatchEnd(), fromHex('0000000a'))
  bytesEqual(encodeBatchBegin(258), fromHex('0000000a0800010000000102'))
  assert.is(decodeBatchBegin(encodeBatchBegin(258)), 258)
  assert.is(decodeBatchBegin(encodeBatchBegin(undefined)), undefined)
})

test('names: requests that only say which one', () => {
  assert.equal(decodeTable(encodeTableName(2, 'a')), { family: 2, name: 'a', flags: 0, use: 0 })
  const chain = { family: 2, table: 'a', name: 'b', hook: undefined, use: 0 }
  assert.equal(decodeChain(encodeChainName(2, 'a', 'b')), chain)
})

test('element keys: without data and comment', () => {
  const key = new Uint8Array([6, 0, 0, 0, 31, 144, 0, 0])
  const element = { key, keyEnd: undefined, data: key, verdict: undefined, comment: 'x' }
  const list = { family: 2, table: 't', set: 's', setId: 0, elements: [element] }
  assert.equal(decodeElements(encodeElementKeys(list)), {
    ...list,
    elements: [{ ...element, data: undefined, comment: '', counter: undefined }]
  })
})

test('expressions without a line in the golden file', () => {
  const expressions: readonly Expression[] = [
    { kind: 'range', register: 1, operator: 1, first: new Uint8Array([0, 80]), last: new Uint8Array([0, 90]) },
    { kind: 'other', name: 'notrack', attributes: new Uint8Array(0) },
    { kind: 'masq', flags: 16 },
    { kind: 'counter', bytes: 5, packets: 2 },
    { kind: 'redir', portRegister: undefined }
  ]
  const rule = { family: NFPROTO_IPV4, table: 't', chain: 'c', handle: 0, expressions, comment: 'words' }
  assert.equal(decodeRule(encodeRule(rule)), rule)
})

test('comments: found among other user data, also when they end early', () => {
  bytesEqual(encodeComment('hi'), fromHex('0003686900'))
  assert.is(decodeComment(fromHex('0104000000000003686900')), 'hi')
  assert.is(decodeComment(fromHex('00ff6869')), '')
  assert.is(decodeComment(fromHex('')), '')
})

test('conntrack: a filter is tuples and flags of what counts in them', () => {
  const filter = {
    family: 4,
    protocol: 17,
    port: 53,
    lastPort: 53,
    address: { family: 4, bytes: new Uint8Array([192, 0, 2, 1]) },
    replySource: { family: 4, bytes: new Uint8Array([10, 4, 0, 5]) }
  } as const
  const expected =
    '02010000' +
    '240001800c000180080002' +
    '00c000020114000280050001001100000006000300' +
    '00350000' +
    '100002800c0001800800' +
    '01000a040005' +
    '14001980080001002a00000008000200' +
    '01000000'
  bytesEqual(encodeConntrackFilter(filter), fromHex(expected))
  // By the port alone that answers: 17 in CTA_PROTO_NUM, 53 in CTA_PROTO_SRC_PORT, and the flags 8 and 16.
  const reply = { ...filter, replySource: undefined, replyPort: 53 }
  const changed = expected
    .replace('100002800c0001800800' + '01000a040005', '180002801400028005000100110000000600020000350000')
    .replace('0800020001000000', '0800020018000000')
  bytesEqual(encodeConntrackFilter(reply), fromHex(changed))
  const none = encodeConntrackFilter({ ...filter, replySource: undefined })
  bytesEqual(
    none,
    fromHex(expected.replace('100002800c000180080001000a040005', '').replace('0800020001000000', '0800020000000000'))
  )
})

test('conntrack: an entry comes back as it went', () => {
  const original = {
    source: { family: 6 as const, bytes: new Uint8Array(16).fill(1) },
    destination: { family: 6 as const, bytes: new Uint8Array(16).fill(2) },
    protocol: 17,
    sourcePort: 5000,
    destinationPort: 53
  }
  assert.equal(decodeConntrackEntry(encodeConntrackEntry(6, original)).original, original)
  bytesEqual(encodeConntrackEntry(4, undefined), fromHex('02010000'))
})

test('trace: what the kernel sends is what nft monitor says of it', () => {
  const goldens = readGoldens(new URL('testdata/', import.meta.url))
  assert.is(goldens.length, 6)
  for (const { title, bytes, json } of goldens) {
    const { networkHeader, transportHeader, ...trace } = decodeTrace(bytes)
    const headers =
      networkHeader === undefined
        ? {}
        : { networkHeader: toHex(networkHeader), transportHeader: toHex(transportHeader) }
    assert.equal(JSON.parse(JSON.stringify({ ...trace, ...headers })), json, title)
  }
})

function toHex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex')
}

test.run()
