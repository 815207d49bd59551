/** Publishing ports: from what was asked for to what the plugin portmap is told, and back. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Json, memberOf } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { formatAddress, isLoopback, isUnspecified, parseAddress } from '../../lib/ip/address.ts'
import type { CachedAttachment } from '../../lib/runtime/cache.ts'
import { capabilitiesOf, type Network } from '../../lib/runtime/network.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { CommandError } from '../output.ts'
import type { Port } from './ports.ts'

const CAPABILITY = 'portMappings'

export function publishes(network: Network): boolean {
  return capabilitiesOf(network).includes(CAPABILITY)
}

/** @param networks those that could have done it */
export function nobodyPublishes(networks: readonly Network[]): CommandError {
  return new CommandError(
    `publish ports: no plugin of ${networks.map(one => one.name).join(', ')} does that`,
    'add portmap to the network'
  )
}

/** The runtime's arguments for these ports; undefined for none. */
export function portArgs(ports: readonly Port[]): Json | undefined {
  if (ports.length === 0) return undefined
  const mappings = ports.map(({ hostIP, hostPort, containerPort, protocol }) =>
    jsonOf({ hostIP: hostIP === '' ? undefined : hostIP, hostPort, containerPort, protocol })
  )
  return jsonOf({ [CAPABILITY]: mappings })
}

/**
 * The ports that an attachment publishes, whoever made it.
 *
 * @source CNI CONVENTIONS.md, "portMappings"; go-cni writes its keys with a capital
 */
export function portsOf({ capabilityArgs }: CachedAttachment): readonly Port[] {
  const mappings = capabilityArgs === undefined ? undefined : memberOf(capabilityArgs, CAPABILITY)
  return (mappings?.items ?? []).map(one => {
    const textOf = (key: string): string =>
      (memberOf(one, key) ?? memberOf(one, `${key.charAt(0).toUpperCase()}${key.slice(1)}`))?.text ?? ''
    return {
      hostIP: textOf('hostIP'),
      hostPort: Number(textOf('hostPort')),
      containerPort: Number(textOf('containerPort')),
      protocol: textOf('protocol').toLowerCase() || 'tcp'
    }
  })
}

/**
 * What to say of ports at addresses that no interface of the host has: they are published all the same, since an address may
 * move here later (keepalived), and until then nobody reaches them.
 *
 * @returns sentences for standard error
 */
export function absentAddresses(ports: readonly Port[]): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap(all => (all ?? []).map(one => one.address))
  const asked = new Set(ports.map(one => one.hostIP).filter(one => one !== ''))
  const absent = [...asked].filter(text => {
    const address = parseAddress(text)
    return (
      address !== undefined && !isUnspecified(address) && !isLoopback(address) && !own.includes(formatAddress(address))
    )
  })
  return absent.map(one => `patchbay: this host does not have ${one}: nobody reaches what is published there\n`)
}

/** With a port of the host that nobody listens on, where any will do. */
export async function withHostPort(port: Port): Promise<Port> {
  if (port.hostPort !== 0) return port
  try {
    return { ...port, hostPort: await freePort(port) }
  } catch (error) {
    throw new CommandError(`find a free port of ${port.hostIP || 'the host'}: ${errnoOf(error)}`, 'name a port')
  }
}

async function freePort({ hostIP, protocol }: Port): Promise<number> {
  const address = hostIP === '' ? undefined : hostIP
  if (protocol === 'udp') {
    const socket = createSocket(hostIP.includes(':') ? 'udp6' : 'udp4').bind(0, address)
    await once(socket, 'listening')
    const found = socket.address().port
    socket.close()
    return found
  }
  const server = createServer().listen(0, address)
  await once(server, 'listening')
  const bound = server.address()
  server.close()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}
