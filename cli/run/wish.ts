/** What `patchbay run` was asked for, as it goes from the command to the process that keeps the container. */
import { randomBytes } from 'node:crypto'
import { isName } from '../../lib/cni/env.ts'
import type { Call } from '../call.ts'
import { UsageError } from '../output.ts'
import type { Place } from '../place.ts'
import { addHost } from './files.ts'
import { type Mode, parseNetworks } from './network-words.ts'
import { type Port, parsePorts } from './ports.ts'

export interface RunWish {
  readonly name: string
  readonly command: readonly string[]
  readonly mode: Mode
  /** As written, for `ps`. */
  readonly networks: readonly string[]
  readonly ports: readonly Port[]
  readonly hostname: string
  readonly dns: readonly string[]
  readonly addHosts: readonly string[]
  readonly env: readonly (readonly [string, string])[]
  readonly workdir: string
  /** Nothing is kept of it when it has ended. */
  readonly remove: boolean
  readonly place: Place
  readonly runDir: string
}

/** Docker's name for the network of containers that name none. */
const DEFAULT_NETWORK = 'bridge'

/** @throws UsageError for every option that is wrong */
export function wishOf(call: Call): RunWish {
  const name = call.text('name') ?? `run-${randomBytes(4).toString('hex')}`
  if (!isName(name))
    throw new UsageError(`read --name ${JSON.stringify(name)}: only letters, digits and "_.-" make a name`)
  if (call.has('link')) {
    throw new UsageError(
      'read --link: names of containers are not answered by this version',
      'use --add-host NAME:ADDRESS'
    )
  }
  const networks = call.texts('network')
  const mode = parseNetworks(networks, DEFAULT_NETWORK)
  const ports = publishedPorts(call)
  if (ports.length > 0 && mode.kind !== 'networks') {
    throw new UsageError(
      `read --publish: --network ${networks.join(' ')} has no ports to publish`,
      'its ports are that network’s own'
    )
  }
  call.texts('add-host').forEach(addHost)
  return {
    name,
    command: call.words,
    mode,
    networks: mode.kind === 'networks' ? mode.wishes.map(one => one.name) : networks,
    ports,
    hostname: call.text('hostname') ?? '',
    dns: call.texts('dns'),
    addHosts: call.texts('add-host'),
    env: call.texts('env').map(splitEnv),
    workdir: call.text('workdir') ?? process.cwd(),
    remove: call.has('rm'),
    place: call.place,
    runDir: call.runDir
  }
}

/** -P: what --expose names, each on a port of the host that is free. */
function publishedPorts(call: Call): readonly Port[] {
  const exposed = call.texts('expose').flatMap(parsePorts)
  if (exposed.some(port => port.hostPort !== 0)) {
    throw new UsageError('read --expose: must be a port of the container alone, as in 80 or 53/udp')
  }
  return [...call.texts('publish').flatMap(parsePorts), ...(call.has('publish-all') ? exposed : [])]
}

function splitEnv(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, process.env[text] ?? ''] : [text.slice(0, at), text.slice(at + 1)]
}
