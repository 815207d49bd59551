/** What the plugin vxlan and `patchbay agent trust` ask about encryption. */
import { type Json, jsonArray, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import type { Carry } from '../requests.ts'
import type { Encryption, HostKey } from './encryption.ts'

export const ENCRYPTION_REQUESTS: ReadonlyMap<string, Carry<Encryption>> = new Map<string, Carry<Encryption>>([
  ['encrypted-underlay', underlay],
  ['host-keys', hostKeys],
  ['trust', trust]
])

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
