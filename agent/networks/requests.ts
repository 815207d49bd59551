/** What `patchbay network` asks of the agent about networks of the cluster. */
import { type Json, jsonNull, withMember } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import type { Carry } from '../requests.ts'
import type { HostNetwork, Networks, NewNetwork } from './networks.ts'
import { isNetworkName, LONGEST_NAME, readRecord, recordToJson } from './record.ts'

export const NETWORK_REQUESTS: ReadonlyMap<string, Carry<Networks>> = new Map<string, Carry<Networks>>([
  ['networks', networks => jsonOf({ networks: networks.list().map(networkToJson) })],
  ['network-create', create],
  ['network-remove', remove],
  ['network-containers', containers]
])

async function create(networks: Networks, request: DaemonRequest): Promise<Json> {
  const made = networkToJson(await networks.create(readNew(request), request.milliseconds))
  return withMember(made, 'isAlone', jsonOf(networks.isAlone))
}

/** `network` is a record without what the agent gives it. @throws {ConfigError} */
function readNew(request: DaemonRequest): NewNetwork {
  const name = readName(request)
  const json = request.members.json('network') ?? jsonNull
  const { members } = request
  if (json.type !== 'object') members.problem('network', 'is required: an object')
  members.finish()
  const hasVni = new Section(json).has('vni')
  // In the place of what is not decided yet; the record is judged as a whole.
  let whole = withMember(json, 'id', jsonOf('0'.repeat(64)))
  whole = withMember(whole, 'created', jsonOf(new Date(0).toISOString()))
  if (!hasVni) whole = withMember(whole, 'vni', jsonOf(1))
  const record = readRecord(name, new Section(whole))
  return { ...record, vni: hasVni ? record.vni : undefined }
}

function readName(request: DaemonRequest): string {
  const name = request.text('name')
  if (!isNetworkName(name))
    request.members.problem('name', `must be a name of letters, digits and "_.-", at most ${LONGEST_NAME} long`)
  return name
}

async function remove(networks: Networks, request: DaemonRequest): Promise<undefined> {
  const name = request.name('name')
  request.members.finish()
  await networks.remove(name, request.milliseconds)
  return undefined
}

async function containers(networks: Networks, request: DaemonRequest): Promise<Json> {
  const name = request.name('name')
  request.members.finish()
  const all = await networks.containers(name, request.milliseconds)
  return jsonOf({ containers: all.map(one => ({ ...one })) })
}

/** `{ "name", "path", "problem", "network": record }` */
function networkToJson({ record, path, problem }: HostNetwork): Json {
  return jsonOf({ name: record.name, path, problem, network: recordToJson(record) })
}
