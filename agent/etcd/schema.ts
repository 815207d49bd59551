/**
 * etcd's services and messages, as far as the agent speaks them, in the form that proto-loader's fromJSON reads: nothing
 * has to be found as a file at run time. Keys and values are bytes; 64-bit numbers come as decimal strings.
 *
 * @source etcd API v3 (package etcdserverpb and mvccpb): names and numbers of services, methods and fields
 */

type Field = readonly [type: string, id: number]

/** Fields of which one message has one at most. */
type Choice = readonly [name: string, members: readonly string[]]

function message(fields: Readonly<Record<string, Field>>, choice?: Choice) {
  const all = Object.fromEntries(Object.entries(fields).map(([name, [type, id]]) => [name, fieldOf(type, id)]))
  return choice === undefined ? { fields: all } : { fields: all, oneofs: { [choice[0]]: { oneof: [...choice[1]] } } }
}

/** `repeated` before the type makes a list. */
function fieldOf(type: string, id: number) {
  const [first = '', second] = type.split(' ')
  return second === undefined ? { type: first, id } : { rule: first, type: second, id }
}

function unary(requestType: string, responseType: string) {
  return { requestType, responseType }
}

function streaming(requestType: string, responseType: string) {
  return { requestType, responseType, requestStream: true, responseStream: true }
}

const STORED = {
  KeyValue: message({
    key: ['bytes', 1],
    create_revision: ['int64', 2],
    mod_revision: ['int64', 3],
    value: ['bytes', 5],
    lease: ['int64', 6]
  }),
  Event: {
    nested: { EventType: { values: { PUT: 0, DELETE: 1 } } },
    ...message({ type: ['EventType', 1], kv: ['KeyValue', 2] })
  }
}

const KEYS = {
  ResponseHeader: message({ cluster_id: ['uint64', 1], revision: ['int64', 3] }),
  RangeRequest: message({ key: ['bytes', 1], range_end: ['bytes', 2] }),
  RangeResponse: message({ header: ['ResponseHeader', 1], kvs: ['repeated mvccpb.KeyValue', 2] }),
  PutRequest: message({ key: ['bytes', 1], value: ['bytes', 2], lease: ['int64', 3] }),
  PutResponse: message({ header: ['ResponseHeader', 1] }),
  DeleteRangeRequest: message({ key: ['bytes', 1], range_end: ['bytes', 2] }),
  DeleteRangeResponse: message({ header: ['ResponseHeader', 1], deleted: ['int64', 2] }),
  RequestOp: message(
    {
      request_range: ['RangeRequest', 1],
      request_put: ['PutRequest', 2],
      request_delete_range: ['DeleteRangeRequest', 3]
    },
    ['request', ['request_range', 'request_put', 'request_delete_range']]
  ),
  ResponseOp: message(
    {
      response_range: ['RangeResponse', 1],
      response_put: ['PutResponse', 2],
      response_delete_range: ['DeleteRangeResponse', 3]
    },
    ['response', ['response_range', 'response_put', 'response_delete_range']]
  ),
  Compare: {
    nested: {
      CompareResult: { values: { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 } },
      CompareTarget: { values: { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3, LEASE: 4 } }
    },
    ...message(
      {
        result: ['CompareResult', 1],
        target: ['CompareTarget', 2],
        key: ['bytes', 3],
        create_revision: ['int64', 5],
        mod_revision: ['int64', 6],
        lease: ['int64', 8],
        range_end: ['bytes', 64]
      },
      ['target_union', ['create_revision', 'mod_revision', 'lease']]
    )
  },
  TxnRequest: message({
    compare: ['repeated Compare', 1],
    success: ['repeated RequestOp', 2],
    failure: ['repeated RequestOp', 3]
  }),
  TxnResponse: message({
    header: ['ResponseHeader', 1],
    succeeded: ['bool', 2],
    responses: ['repeated ResponseOp', 3]
  })
}

const WATCHES = {
  WatchRequest: message({ create_request: ['WatchCreateRequest', 1], cancel_request: ['WatchCancelRequest', 2] }, [
    'request_union',
    ['create_request', 'cancel_request']
  ]),
  WatchCreateRequest: message({
    key: ['bytes', 1],
    range_end: ['bytes', 2],
    start_revision: ['int64', 3],
    watch_id: ['int64', 7]
  }),
  WatchCancelRequest: message({ watch_id: ['int64', 1] }),
  WatchResponse: message({
    header: ['ResponseHeader', 1],
    watch_id: ['int64', 2],
    created: ['bool', 3],
    canceled: ['bool', 4],
    compact_revision: ['int64', 5],
    cancel_reason: ['string', 6],
    events: ['repeated mvccpb.Event', 11]
  })
}

const LEASES = {
  LeaseGrantRequest: message({ TTL: ['int64', 1], ID: ['int64', 2] }),
  LeaseGrantResponse: message({ header: ['ResponseHeader', 1], ID: ['int64', 2], TTL: ['int64', 3] }),
  LeaseRevokeRequest: message({ ID: ['int64', 1] }),
  LeaseRevokeResponse: message({ header: ['ResponseHeader', 1] }),
  LeaseKeepAliveRequest: message({ ID: ['int64', 1] }),
  LeaseKeepAliveResponse: message({ header: ['ResponseHeader', 1], ID: ['int64', 2], TTL: ['int64', 3] }),
  LeaseTimeToLiveRequest: message({ ID: ['int64', 1], keys: ['bool', 2] }),
  LeaseTimeToLiveResponse: message({
    header: ['ResponseHeader', 1],
    ID: ['int64', 2],
    TTL: ['int64', 3],
    keys: ['repeated bytes', 5]
  })
}

const USERS = {
  AuthenticateRequest: message({ name: ['string', 1], password: ['string', 2] }),
  AuthenticateResponse: message({ header: ['ResponseHeader', 1], token: ['string', 2] })
}

const SERVICES = {
  KV: { methods: { Range: unary('RangeRequest', 'RangeResponse'), Txn: unary('TxnRequest', 'TxnResponse') } },
  Watch: { methods: { Watch: streaming('WatchRequest', 'WatchResponse') } },
  Lease: {
    methods: {
      LeaseGrant: unary('LeaseGrantRequest', 'LeaseGrantResponse'),
      LeaseRevoke: unary('LeaseRevokeRequest', 'LeaseRevokeResponse'),
      LeaseKeepAlive: streaming('LeaseKeepAliveRequest', 'LeaseKeepAliveResponse'),
      LeaseTimeToLive: unary('LeaseTimeToLiveRequest', 'LeaseTimeToLiveResponse')
    }
  },
  Auth: { methods: { Authenticate: unary('AuthenticateRequest', 'AuthenticateResponse') } }
}

/** For fromJSON. */
export const SCHEMA = {
  nested: {
    mvccpb: { nested: STORED },
    etcdserverpb: { nested: { ...KEYS, ...WATCHES, ...LEASES, ...USERS, ...SERVICES } }
  }
}

/** How values appear: enums by name, 64-bit numbers as strings, absent fields with their defaults. */
export const SCHEMA_OPTIONS = { keepCase: true, longs: String, enums: String, bytes: Buffer, defaults: true } as const

interface Header {
  readonly cluster_id: string
  readonly revision: string
}

export interface KeyValueMessage {
  readonly key: Buffer
  readonly value: Buffer
  readonly create_revision: string
  readonly mod_revision: string
  readonly lease: string
}

export interface RangeResponse {
  readonly header: Header
  readonly kvs: readonly KeyValueMessage[]
}

export interface TxnResponse {
  readonly header: Header
  readonly succeeded: boolean
  readonly responses: readonly { readonly response_range?: RangeResponse | null }[]
}

export interface WatchResponse {
  readonly header: Header
  readonly watch_id: string
  readonly created: boolean
  readonly canceled: boolean
  readonly cancel_reason: string
  readonly events: readonly { readonly type: 'PUT' | 'DELETE'; readonly kv: KeyValueMessage }[]
}

/** Of the three calls that tell of a lease. */
export interface LeaseResponse {
  /** seconds; not above 0 when the lease is gone */
  readonly TTL: string
  /** Of LeaseTimeToLive with keys. */
  readonly keys?: readonly Buffer[]
}
