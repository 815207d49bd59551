/** `patchbay network connect` and `disconnect`: one more network for a running container, or one less. */
import { jsonText } from '../lib/config/json.ts'
import { loadNetwork } from '../lib/runtime/network.ts'
import { attachTo, checkedIfName, detachFrom, resultTable } from './attachment.ts'
import type { Call } from './call.ts'
import { Containers } from './container.ts'
import { aliasOptions, nameArgs, nameOption, withAliases } from './names.ts'
import { CommandError, jsonLine } from './output.ts'
import { runtimeAt } from './place.ts'

/** `network connect NETWORK CONTAINER` */
export async function connect(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const container = new Containers(runtimeAt(place, output).cache, call.runDir).living(
    call.word(1),
    call.text('container-id')
  )
  const asked = call.text('ifname')
  const ifName = asked === undefined ? undefined : checkedIfName(asked)
  const args = [...requestedArgs(call), ...nameArgs(nameOption(call))]
  const wanted = { ...container, ifName, args, capabilityArgs: withAliases(aliasOptions(call), network, undefined) }
  const { attaching, result } = await attachTo(place, network, wanted, output)
  output.out(call.asJson ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** What of the address is the caller's wish, in CNI_ARGS: every plugin of the chain sees them. */
function requestedArgs(call: Call): readonly (readonly [string, string])[] {
  const args: (readonly [string, string])[] = [['IgnoreUnknown', '1']]
  const addresses = [call.text('ip'), call.text('ip6')].filter(text => text !== undefined)
  if (addresses.length > 0) args.push(['IP', addresses.join(',')])
  const mac = call.text('mac-address')
  if (mac !== undefined) args.push(['MAC', mac])
  return args
}

/** `network disconnect NETWORK CONTAINER`: every interface of the container on the network. */
export async function disconnect(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const cache = runtimeAt(place, output).cache
  const container = new Containers(cache, call.runDir).former(call.word(1), call.text('container-id'))
  const { containerId } = container
  const ifName = call.text('ifname')
  const attached = cache
    .list(name)
    .filter(one => one.containerId === containerId && (ifName === undefined || one.ifName === ifName))
  if (attached.length === 0) {
    throw new CommandError(
      `disconnect ${JSON.stringify(containerId)}: it is not on ${JSON.stringify(name)}`,
      `see: patchbay network inspect ${name}`
    )
  }
  for (const one of attached) await detachFrom(place, name, { ...container, ifName: one.ifName }, output)
  const ifNames = attached.map(one => one.ifName)
  if (call.asJson) output.out(jsonLine({ network: name, containerId, ifNames }))
  else output.out(`disconnected ${containerId} (${ifNames.join(', ')}) from ${name}\n`)
  return 0
}
