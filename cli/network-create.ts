/** `patchbay network create`: writes a network's configuration list. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LONGEST_NAME } from '../agent/networks/record.ts'
import { isName } from '../lib/attachment.ts'
import { loadNetworks, type Network } from '../lib/runtime/network.ts'
import { ensureDirectory, fileError, ownFileModes } from '../lib/sys/files.ts'
import { AgentClient } from './agent-client.ts'
import type { Call } from './call.ts'
import { whileAlone } from './lock.ts'
import { type NetworkWish, networkConfig } from './network-config.ts'
import { refuseClusterName, refuseTakenName, surroundings } from './network-surroundings.ts'
import { adviceFor, CommandError, jsonLine, UsageError } from './output.ts'

/** `network create NAME` */
export async function create(call: Call): Promise<number> {
  const { place, output } = call
  const wish = wishOf(call)
  if (wish.encrypted && wish.driver !== 'overlay') {
    throw new UsageError(
      `create network: --encrypted goes with driver overlay, not ${wish.driver}`,
      'what stays on one host needs no encryption'
    )
  }
  if (wish.driver === 'overlay') return (await import('./network-overlay.ts')).createOverlay(call, wish)
  const path = join(place.confDir, `patchbay-${wish.name}.conflist`)
  // Before anything is made: a wish that cannot be fulfilled leaves no directory either.
  const plan = configOf(wish, loadNetworks(place.confDir).networks)
  refuseClusterName(wish.name, new AgentClient(call.text('agent-socket')).networksIfThere())
  if (call.has('dry-run')) {
    output.out(jsonLine(plan))
    return 0
  }
  makeDirectory(place.confDir)
  // Two commands at once would choose the same free subnet.
  await whileAlone(place.confDir, 'create', () => {
    writeNew(path, jsonLine(configOf(wish, loadNetworks(place.confDir).networks)))
  })
  output.out(call.asJson ? jsonLine({ name: wish.name, path }) : `${wish.name}\n`)
  return 0
}

function wishOf(call: Call): NetworkWish {
  return {
    name: checkedName(call.word(0)),
    driver: driverOf(call),
    ipamDriver: call.text('ipam-driver') ?? '',
    subnets: call.texts('subnet'),
    gateways: call.texts('gateway'),
    ipRanges: call.texts('ip-range'),
    auxAddresses: call.texts('aux-address'),
    internal: call.has('internal'),
    encrypted: call.has('encrypted'),
    names: !call.has('no-dns'),
    agentSocket: call.text('agent-socket'),
    ipv6: call.has('ipv6'),
    mayOverlap: call.has('allow-overlap'),
    options: pairs('-o', call.texts('opt')),
    labels: labelsOf(call.texts('label'))
  }
}

/** A scope is a matter of the driver. */
function driverOf(call: Call): string {
  const scope = call.text('scope')
  const driver = call.text('driver') ?? (scope === 'cluster' ? 'overlay' : 'bridge')
  if (scope === undefined || (scope === 'cluster') === (driver === 'overlay')) return driver
  throw new UsageError(
    `read --scope ${scope}: networks of driver ${driver} are ${driver === 'overlay' ? 'on all hosts' : "one host's"}`,
    scope === 'cluster' ? 'networks of several hosts have driver overlay' : 'leave --scope out'
  )
}

function checkedName(name: string): string {
  if (!isName(name))
    throw new UsageError(`create network ${JSON.stringify(name)}: only letters, digits and "_.-" make a name`)
  if (name.length > LONGEST_NAME)
    throw new UsageError(
      `create network: a name has at most ${String(LONGEST_NAME)} letters, this one ${String(name.length)}`
    )
  return name
}

function configOf(wish: NetworkWish, networks: readonly Network[]): object {
  refuseTakenName(wish.name, networks)
  return networkConfig(wish, surroundings(networks))
}

function pairs(option: string, texts: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at <= 0) throw new UsageError(`read ${option} ${JSON.stringify(text)}: must be KEY=VALUE`)
    map.set(text.slice(0, at), text.slice(at + 1))
  }
  return map
}

/** As with Docker, a label may be a key alone. */
function labelsOf(texts: readonly string[]): ReadonlyMap<string, string> {
  return pairs(
    '--label',
    texts.map(text => (text.includes('=') ? text : `${text}=`))
  )
}

function makeDirectory(path: string): void {
  try {
    ownFileModes()
    ensureDirectory(path, 0o755)
  } catch (error) {
    throw unwritable(path, error)
  }
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    throw unwritable(path, error)
  }
}

function unwritable(path: string, error: unknown): CommandError {
  return new CommandError(fileError('write network', path, error).message, adviceFor(error, 'name another --conf-dir'))
}
