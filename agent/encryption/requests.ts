/** What the plugin vxlan and `patchbay agent trust` ask about encryption. */
import type { Json } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
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
  return jsonOf({ carrier, local: formatAddress(local), mtu })
}

function hostKeys(encryption: Encryption): Json {
  return jsonOf({ own: encryption.publicKey, hosts: encryption.hosts().map(hostToJson) })
}

function hostToJson({ host, key, refused, endpoint, state }: HostKey): Json {
  return jsonOf({
    host,
    key,
    endpoint,
    refused: refused === '' ? undefined : refused,
    lastHandshake: state?.lastHandshake,
    receivedBytes: state?.receivedBytes,
    sentBytes: state?.sentBytes
  })
}

function trust(encryption: Encryption, request: DaemonRequest): Json {
  const host = request.name('host')
  const wanted = request.members.text('key') ?? ''
  request.members.finish()
  const { key, before } = encryption.trust(host, wanted)
  return jsonOf({ host, key, before })
}
