/** `patchbay network create --driver overlay`: the agent makes it, on every host of the cluster. */
import { dirname, resolve } from 'node:path'
import { LARGEST_VNI, rangeToJson } from '../agent/networks/record.ts'
import { type Json, jsonText } from '../lib/config/json.ts'
import { jsonOf } from '../lib/config/plain-json.ts'
import { networkOf, parsePrefix, prefixesOverlap } from '../lib/ip/prefix.ts'
import { loadNetworks } from '../lib/runtime/network.ts'
import { AgentClient, type AgentNetwork } from './agent-client.ts'
import type { Call } from './call.ts'
import { OptionReader } from './driver-options.ts'
import type { NetworkWish } from './network-config.ts'
import { type Pool, poolsOf, type TakenPrefix } from './network-pools.ts'
import { refuseClusterName, refuseTakenName, surroundings } from './network-surroundings.ts'
import { jsonLine, UsageError } from './output.ts'

/** Others may take the subnets that are chosen here, one after the other. */
const MOST_CHOICES = 10

/** `network create --driver overlay NAME` */
export async function createOverlay(call: Call, wish: NetworkWish): Promise<number> {
  const { place, output } = call
  const settings = settingsOf(wish)
  const agent = new AgentClient(call.text('agent-socket'))
  if (call.has('dry-run')) {
    const record = recordOf(wish, poolsAmong(call, wish, agent.networks()), settings)
    output.out(jsonLine({ name: wish.name, driver: 'overlay', ...JSON.parse(jsonText(record)) }))
    return 0
  }
  const made = make(call, wish, settings, agent)
  if (made.problem !== '') output.err(`patchbay: runtimes of this host do not find it: ${made.problem}\n`)
  else if (dirname(made.path) !== resolve(place.confDir))
    output.err(`patchbay: on this host it is in ${JSON.stringify(made.path)}: see it with --conf-dir\n`)
  if (made.isAlone) output.err('patchbay: the agent knows no other host: the network is on this one alone\n')
  output.out(call.asJson ? jsonLine({ name: wish.name, id: made.network.id, path: made.path }) : `${wish.name}\n`)
  return 0
}

/** A subnet that was chosen here may be somebody's by the time that the agent writes it: then there is another one. */
function make(
  call: Call,
  wish: NetworkWish,
  settings: Settings,
  agent: AgentClient
): ReturnType<AgentClient['create']> {
  for (let choices = 1; ; choices += 1) {
    const pools = poolsAmong(call, wish, agent.networks())
    try {
      return agent.create(wish.name, recordOf(wish, pools, settings))
    } catch (error) {
      const isLate = wish.subnets.length === 0 && clashes(pools, agent.networks())
      if (!isLate || choices === MOST_CHOICES) throw error
    }
  }
}

/** Clear of all networks of the cluster, and of what this host has. */
function poolsAmong(call: Call, wish: NetworkWish, others: readonly AgentNetwork[]): readonly Pool[] {
  const { networks } = loadNetworks(call.place.confDir)
  refuseClusterName(wish.name, others)
  refuseTakenName(wish.name, networks)
  const around = surroundings(networks)
  // Networks of the cluster are named as such, whether this host has a file of them or not.
  const local = around.networks.filter(
    one => !others.some(other => one.owner === `network ${JSON.stringify(other.name)}`)
  )
  return poolsOf(wish, { taken: [...subnetsOf(others), ...local, ...around.connected], routed: around.routed })
}

function subnetsOf(others: readonly AgentNetwork[]): readonly TakenPrefix[] {
  return others.flatMap(one =>
    one.network.ranges.flatMap(({ subnet }) => {
      const prefix = parsePrefix(subnet)
      const owner = `network ${JSON.stringify(one.name)} of the cluster`
      return prefix === undefined ? [] : [{ prefix: networkOf(prefix), owner }]
    })
  )
}

function clashes(pools: readonly Pool[], others: readonly AgentNetwork[]): boolean {
  return subnetsOf(others).some(one => pools.some(pool => prefixesOverlap(pool.subnet, one.prefix)))
}

interface Settings {
  readonly vni: number | undefined
  readonly mtu: number | undefined
  readonly masquerade: boolean
  readonly encrypted: boolean
}

/** @throws UsageError */
function settingsOf(wish: NetworkWish): Settings {
  if (!['', 'cluster'].includes(wish.ipamDriver)) {
    throw new UsageError(
      `create network: driver overlay gives addresses by ipam driver cluster, not ${JSON.stringify(wish.ipamDriver)}`,
      'leave --ipam-driver out'
    )
  }
  const options = new OptionReader(wish.options)
  const settings = {
    vni: readVni(options.text(['com.docker.network.driver.overlay.vxlanid_list', 'vni'])),
    mtu: options.mtu().mtu,
    masquerade: options.boolean(['com.docker.network.bridge.enable_ip_masquerade', 'ip-masq'], true),
    encrypted: options.boolean(['encrypted'], wish.encrypted)
  }
  options.finish()
  return settings
}

function readVni(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const vni = Number(text)
  if (/^[0-9]+$/.test(text) && vni >= 1 && vni <= LARGEST_VNI) return vni
  throw new UsageError(`read -o vni=${text}: must be a number from 1 to ${LARGEST_VNI}`)
}

/** As agent/networks/record.ts has it, without what the agent gives it. */
function recordOf(wish: NetworkWish, pools: readonly Pool[], settings: Settings): Json {
  const ranges = pools.map(({ subnet, gateway, range, excluded }) =>
    rangeToJson({ subnet, gateway, span: range, exclude: excluded })
  )
  return jsonOf({
    vni: settings.vni,
    ranges,
    internal: wish.internal,
    masquerade: settings.masquerade,
    names: wish.names,
    encrypted: settings.encrypted ? true : undefined,
    mtu: settings.mtu,
    labels: wish.labels
  })
}
