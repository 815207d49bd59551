/** What the plugin vxlan and `patchbay agent trust` ask about encryption. */
import { type Json, jsonArray, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import type { Encryption, HostKey } from './encryption.ts'

type Carry = (encryption: Encryption, request: DaemonRequest) => Promise<Json> | Json

const REQUESTS: ReadonlyMap<string, Carry> = new Map<string, Carry>([
  ['encrypted-underlay', underlay],
  ['host-keys', hostKeys],
  ['trust', trust]
])

/** The requests that there are. */
export const ENCRYPTION_REQUESTS: ReadonlySet<string> = new Set(REQUESTS.keys())

/** @throws {CniError} {ConfigError} what the plugin or the command is to tell */
export async function answerEncryption(encryption: Encryption, request: DaemonRequest): Promise<Json> {
  const carryOut = REQUESTS.get(request.what)
  if (carryOut === undefined) throw request.unknown()
  return carryOut(encryption, request)
}

async function underlay(encryption: Encryption, request: DaemonRequest): Promise<Json> {
  const { carrier, local, mtu } = await encryption.underlay(request.milliseconds)
  return jsonObject([
    ['carrier', jsonString(carrier)],
    ['local', jsonString(formatAddress(local))],
    ['mtu', jsonNumber(mtu)]
  ])
}

function hostKeys(encryption: Encryption): Json {
  return jsonObject([
    ['own', jsonString(encryption.publicKey)],
    ['hosts', jsonArray(encryption.hosts().map(hostToJson))]
  ])
}

function hostToJson({ host, key, refused, endpoint, state }: HostKey): Json {
  return jsonObject([
    ['host', jsonString(host)],
    ['key', jsonString(key)],
    ['endpoint', jsonString(endpoint)],
    ['refused', refused === '' ? undefined : jsonString(refused)],
    ['lastHandshake', state === undefined ? undefined : jsonNumber(state.lastHandshake)],
    ['receivedBytes', state === undefined ? undefined : jsonNumber(state.receivedBytes)],
    ['sentBytes', state === undefined ? undefined : jsonNumber(state.sentBytes)]
  ])
}

function trust(encryption: Encryption, request: DaemonRequest): Json {
  const host = request.name('host')
  const wanted = request.members.text('key') ?? ''
  request.members.finish()
  const { key, before } = encryption.trust(host, wanted)
  return jsonObject([
    ['host', jsonString(host)],
    ['key', jsonString(key)],
    ['before', jsonString(before)]
  ])
}
