/** Who is on a network of the cluster, on every host, as the registry has it. */
import { isName } from '../../lib/attachment.ts'
import { isHostsOwn } from '../endpoint.ts'
import { type Entry, endpointPrefix, namePrefix, type Registry } from '../registry.ts'
import { endpointFromValue, nameFromValue } from '../registry-value.ts'

/** A container on a network of the cluster; the agent answers it as it is. */
export interface NetworkContainer {
  readonly host: string
  readonly containerId: string
  readonly ifName: string
  readonly mac: string
  readonly ips: readonly string[]
  /** The host's address on the underlay. */
  readonly vtep: string
  /** Its own name first. */
  readonly names: readonly string[]
}

/** What containers there are, and the registry's revision as of which it is. @throws CniError code 11 */
export async function containersOf(
  registry: Registry,
  network: { readonly name: string; readonly vni: number },
  milliseconds: number
): Promise<{ readonly containers: readonly NetworkContainer[]; readonly revision: number }> {
  const deadline = Date.now() + milliseconds
  const { entries, revision } = await registry.read(endpointPrefix(network.vni), milliseconds)
  const named = await registry.read(namePrefix(network.name), deadline - Date.now())
  const names = new Map(named.entries.map(one => [one.name, nameFromValue(one.value).names]))
  return { containers: entries.flatMap(one => containerOf(one, network.name, names)), revision }
}

/** The host's own address in the network is no container. Keys are texts of others, which are shown on terminals. */
function containerOf(
  { name, value }: Entry,
  network: string,
  names: ReadonlyMap<string, readonly string[]>
): readonly NetworkContainer[] {
  const [host = '', of = '', containerId = '', ifName = '', ...rest] = name.split('/')
  const isOurs = of === network && rest.length === 0 && isName(containerId) && [host, ifName].every(isShowable)
  if (!isOurs || isHostsOwn({ network, containerId, ifName })) return []
  const endpoint = endpointFromValue(value, 4) ?? endpointFromValue(value, 6)
  if (endpoint === undefined) return []
  return [{ host, containerId, ifName, ...endpoint, names: names.get(`${host}/${containerId}/${ifName}`) ?? [] }]
}

function isShowable(text: string): boolean {
  return /^[\p{L}\p{N}_.@-]{1,255}$/u.test(text)
}
