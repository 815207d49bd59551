/** `patchbay network connect` and `disconnect`: one more network for a running container, or one less. */
import { parseArgs } from 'node:util'
import { jsonText } from '../lib/config/json.ts'
import { loadNetwork } from '../lib/runtime/network.ts'
import { attachTo, checkedId, checkedIfName, detachFrom, resultTable, usage } from './attachment.ts'
import { containerOf, formerContainerOf } from './container.ts'
import { CommandError, jsonLine, type Output } from './output.ts'
import { PLACE_OPTIONS, type Place, placeOf, runtimeAt } from './place.ts'

/** `network connect NETWORK CONTAINER`: the container is a namespace or a process. */
export async function connect(argv: readonly string[], output: Output): Promise<number> {
  const options = {
    ...PLACE_OPTIONS,
    ifname: { type: 'string' },
    'container-id': { type: 'string' },
    ip: { type: 'string' },
    ip6: { type: 'string' },
    'mac-address': { type: 'string' }
  } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [name, word] = positionals
  if (name === undefined || word === undefined || positionals.length > 2)
    throw usage('network connect NETWORK CONTAINER')
  const place = placeOf(values)
  const container = containerOf(word)
  const containerId = checkedId(values['container-id'] ?? container.containerId)
  const ifName = checkedIfName(values.ifname ?? freeIfName(place, output, containerId))
  const args: (readonly [string, string])[] = [['IgnoreUnknown', '1']]
  const addresses = [values.ip, values.ip6].filter(text => text !== undefined)
  if (addresses.length > 0) args.push(['IP', addresses.join(',')])
  if (values['mac-address'] !== undefined) args.push(['MAC', values['mac-address']])
  const attaching = { containerId, netns: container.netns, ifName, args }
  const result = await attachTo(place, loadNetwork(place.confDir, name), attaching, output)
  output.out(values.json === true ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** eth0, eth1 …: the first that no remembered attachment of the container has. */
function freeIfName(place: Place, output: Output, containerId: string): string {
  const taken = runtimeAt(place, output)
    .cache.list()
    .filter(one => one.containerId === containerId)
    .map(one => one.ifName)
  for (let i = 0; ; i += 1) if (!taken.includes(`eth${String(i)}`)) return `eth${String(i)}`
}

/** `network disconnect NETWORK CONTAINER`: every interface of the container on the network. */
export async function disconnect(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, ifname: { type: 'string' }, 'container-id': { type: 'string' } } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [name, word] = positionals
  if (name === undefined || word === undefined || positionals.length > 2)
    throw usage('network disconnect NETWORK CONTAINER')
  const place = placeOf(values)
  const container = formerContainerOf(word)
  const containerId = checkedId(values['container-id'] ?? container.containerId)
  const attached = runtimeAt(place, output)
    .cache.list(name)
    .filter(one => one.containerId === containerId && (values.ifname === undefined || one.ifName === values.ifname))
  if (attached.length === 0) {
    throw new CommandError(
      `disconnect ${JSON.stringify(containerId)}: it is not on ${JSON.stringify(name)}`,
      `see: patchbay network inspect ${name}`
    )
  }
  for (const one of attached)
    await detachFrom(place, name, { containerId, netns: container.netns, ifName: one.ifName }, output)
  const ifNames = attached.map(one => one.ifName)
  if (values.json === true) output.out(jsonLine({ network: name, containerId, ifNames }))
  else output.out(`disconnected ${containerId} (${ifNames.join(', ')}) from ${name}\n`)
  return 0
}
