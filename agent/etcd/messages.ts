/**
 * etcd's messages, as far as the agent speaks them. Field numbers are those of etcd's rpc.proto and kv.proto.
 *
 * @source etcd api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto (3.4)
 */
import { ProtoWriter, protoFields } from './protobuf.ts'

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly lease: bigint
}

export interface RangeReply {
  readonly revision: number
  readonly entries: readonly KeyValue[]
  readonly count: number
}

export interface TxnReply {
  readonly revision: number
  readonly succeeded: boolean
  /** Of the ranges among the operations. */
  readonly ranges: readonly RangeReply[]
}

export interface WatchEvent {
  readonly isDelete: boolean
  readonly entry: KeyValue
}

export interface WatchReply {
  readonly revision: number
  readonly watchId: number
  readonly created: boolean
  readonly canceled: boolean
  /** Not 0: events up to there are gone. */
  readonly compactRevision: number
  readonly reason: string
  readonly events: readonly WatchEvent[]
}

export interface LeaseReply {
  readonly id: bigint
  /** seconds; not above 0 when the lease is gone */
  readonly ttl: number
  /** Of LeaseTimeToLive with keys. */
  readonly keys: readonly string[]
}

/** The first key behind all keys that begin with the prefix. */
export function rangeEnd(prefix: string): Uint8Array {
  const bytes = Buffer.from(prefix, 'utf8')
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) + 1
  return bytes
}

/** All keys with the prefix, or with `isPrefix` false the one key. */
export function encodeRange(key: string, isPrefix: boolean): ProtoWriter {
  const range = new ProtoWriter().bytes(1, key)
  return isPrefix ? range.bytes(2, rangeEnd(key)) : range
}

export function encodePut(key: string, value: string, lease: bigint): ProtoWriter {
  return new ProtoWriter().bytes(1, key).bytes(2, value).int(3, lease)
}

export function encodeDelete(key: string): ProtoWriter {
  return new ProtoWriter().bytes(1, key)
}

/** One operation of a transaction. */
export interface Operation {
  readonly kind: 'range' | 'put' | 'delete'
  readonly message: ProtoWriter
}

const OPERATION_FIELD = { range: 1, put: 2, delete: 3 }

/** A condition of a transaction: when the key was made (0 = it is not there), or changed last. */
export interface Condition {
  readonly key: string
  readonly createRevision?: number
  readonly modRevision?: number
}

export function encodeTxn(
  conditions: readonly Condition[],
  success: readonly Operation[],
  failure: readonly Operation[]
): ProtoWriter {
  const txn = new ProtoWriter()
  for (const condition of conditions) txn.message(1, encodeCompare(condition))
  for (const operation of success) txn.message(2, encodeOperation(operation))
  for (const operation of failure) txn.message(3, encodeOperation(operation))
  return txn
}

/** A zero is left out and compared as zero all the same: the key is not there. */
function encodeCompare(condition: Condition): ProtoWriter {
  const isCreate = condition.createRevision !== undefined
  return new ProtoWriter()
    .int(2, isCreate ? 1 : 2)
    .bytes(3, condition.key)
    .int(isCreate ? 5 : 6, (isCreate ? condition.createRevision : condition.modRevision) ?? 0)
}

function encodeOperation(operation: Operation): ProtoWriter {
  return new ProtoWriter().message(OPERATION_FIELD[operation.kind], operation.message)
}

/** @param watchId ours, not 0, so that the answers need no matching */
export function encodeWatch(prefix: string, startRevision: number, watchId: number): ProtoWriter {
  const create = new ProtoWriter().bytes(1, prefix).bytes(2, rangeEnd(prefix)).int(3, startRevision).int(7, watchId)
  return new ProtoWriter().message(1, create)
}

export function encodeUnwatch(watchId: number): ProtoWriter {
  return new ProtoWriter().message(2, new ProtoWriter().int(1, watchId))
}

export function encodeLeaseGrant(seconds: number, id: bigint): ProtoWriter {
  return new ProtoWriter().int(1, seconds).int(2, id)
}

export function encodeLease(id: bigint): ProtoWriter {
  return new ProtoWriter().int(1, id)
}

export function encodeLeaseKeys(id: bigint): ProtoWriter {
  return new ProtoWriter().int(1, id).bool(2, true)
}

export function encodeAuthenticate(name: string, password: string): ProtoWriter {
  return new ProtoWriter().bytes(1, name).bytes(2, password)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

function decodeRevision(header: Uint8Array): number {
  for (const { field, number } of protoFields(header)) if (field === 3) return Number(number)
  return 0
}

function decodeKeyValue(message: Uint8Array): KeyValue {
  let [key, value, createRevision, modRevision, lease] = ['', '', 0, 0, 0n]
  for (const one of protoFields(message)) {
    if (one.field === 1) key = textOf(one.bytes)
    if (one.field === 2) createRevision = Number(one.number)
    if (one.field === 3) modRevision = Number(one.number)
    if (one.field === 5) value = textOf(one.bytes)
    if (one.field === 6) lease = one.number
  }
  return { key, value, createRevision, modRevision, lease }
}

export function decodeRange(message: Uint8Array): RangeReply {
  let [revision, count] = [0, 0]
  const entries: KeyValue[] = []
  for (const one of protoFields(message)) {
    if (one.field === 1) revision = decodeRevision(one.bytes)
    if (one.field === 2) entries.push(decodeKeyValue(one.bytes))
    if (one.field === 4) count = Number(one.number)
  }
  return { revision, entries, count }
}

/** The revision in the header of a reply that says nothing else. */
export function decodeHeader(message: Uint8Array): number {
  for (const one of protoFields(message)) if (one.field === 1) return decodeRevision(one.bytes)
  return 0
}

export function decodeTxn(message: Uint8Array): TxnReply {
  let revision = 0
  let succeeded = false
  const ranges: RangeReply[] = []
  for (const one of protoFields(message)) {
    if (one.field === 1) revision = decodeRevision(one.bytes)
    if (one.field === 2) succeeded = one.number !== 0n
    if (one.field !== 3) continue
    for (const reply of protoFields(one.bytes)) if (reply.field === 1) ranges.push(decodeRange(reply.bytes))
  }
  return { revision, succeeded, ranges }
}

export function decodeWatch(message: Uint8Array): WatchReply {
  let [revision, watchId, compactRevision, reason] = [0, 0, 0, '']
  let [created, canceled] = [false, false]
  const events: WatchEvent[] = []
  for (const one of protoFields(message)) {
    if (one.field === 1) revision = decodeRevision(one.bytes)
    if (one.field === 2) watchId = Number(one.number)
    if (one.field === 3) created = one.number !== 0n
    if (one.field === 4) canceled = one.number !== 0n
    if (one.field === 5) compactRevision = Number(one.number)
    if (one.field === 6) reason = textOf(one.bytes)
    if (one.field === 11) events.push(decodeEvent(one.bytes))
  }
  return { revision, watchId, created, canceled, compactRevision, reason, events }
}

function decodeEvent(message: Uint8Array): WatchEvent {
  let isDelete = false
  let entry: KeyValue = { key: '', value: '', createRevision: 0, modRevision: 0, lease: 0n }
  for (const one of protoFields(message)) {
    if (one.field === 1) isDelete = one.number === 1n
    if (one.field === 2) entry = decodeKeyValue(one.bytes)
  }
  return { isDelete, entry }
}

export function decodeLease(message: Uint8Array): LeaseReply {
  let id = 0n
  let ttl = 0
  const keys: string[] = []
  for (const one of protoFields(message)) {
    if (one.field === 2) id = one.number
    if (one.field === 3) ttl = Number(one.number)
    if (one.field === 5) keys.push(textOf(one.bytes))
  }
  return { id, ttl, keys }
}

export function decodeToken(message: Uint8Array): string {
  for (const one of protoFields(message)) if (one.field === 2) return textOf(one.bytes)
  return ''
}
