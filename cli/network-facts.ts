/** What a network's configuration says of it, in Docker's words. */
import { statSync } from 'node:fs'
import { networkOfConflist } from '../agent/networks/conflist.ts'
import { memberOf } from '../lib/config/json.ts'
import { type Network, pluginType } from '../lib/runtime/network.ts'

/** The plugin that makes the interface; that of several hosts has Docker's name. */
export function driverOf(network: Network): string {
  const type = network.plugins[0] === undefined ? '' : pluginType(network.plugins[0])
  return type === 'vxlan' ? 'overlay' : type
}

/** What `-o` of `network create` would say, by the plugins' keys. */
const OPTIONS: Readonly<Record<string, string>> = {
  bridge: 'bridge',
  master: 'parent',
  mode: 'mode',
  mtu: 'mtu',
  vni: 'vni',
  ipMasq: 'ip-masq',
  encrypted: 'encrypted'
}

export function optionsOf(network: Network): Readonly<Record<string, string>> {
  const plugin = network.plugins[0]
  if (plugin === undefined) return {}
  const pairs = Object.entries(OPTIONS).flatMap(([key, option]) => {
    const json = memberOf(plugin, key)
    // "encrypted" may say where the agent is.
    const value = json?.type === 'object' ? 'true' : json?.text
    return value === undefined || value === '' ? [] : [[option, value]]
  })
  return Object.fromEntries(pairs)
}

/** Whether its containers may be on several hosts. */
export function scopeOf(network: Network): 'local' | 'cluster' {
  return network.plugins.some(plugin => pluginType(plugin) === 'vxlan') ? 'cluster' : 'local'
}

/** Nothing leads out: no gateway, no masquerade, no route. A network of layer 2 alone leads wherever its wires do. */
export function isInternal(network: Network): boolean {
  const leadsOut = network.plugins.some(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    const routes = ipam === undefined ? undefined : memberOf(ipam, 'routes')
    return (
      ['isGateway', 'isDefaultGateway', 'ipMasq'].some(key => memberOf(plugin, key)?.text === 'true') ||
      (routes?.items ?? []).length > 0
    )
  })
  const hasAddresses = network.plugins.some(
    plugin => ipamDriverOf(plugin) === 'host-local' || ipamDriverOf(plugin) === 'cluster'
  )
  return !leadsOut && hasAddresses
}

function ipamDriverOf(plugin: Network['plugins'][number]): string {
  const ipam = memberOf(plugin, 'ipam')
  return ipam === undefined ? '' : (memberOf(ipam, 'type')?.text ?? '')
}

/** '' for a network without addresses. */
export function ipamOf(network: Network): string {
  return network.plugins.map(ipamDriverOf).find(type => type !== '') ?? ''
}

/** ISO 8601: of a network of the cluster when it was made, of others when the file was written. */
export function createdAt(network: Network): string {
  const made = networkOfConflist(network.text)?.record.created
  return made ?? statSync(network.path, { throwIfNoEntry: false })?.mtime.toISOString() ?? ''
}

/** `labels`, or nerdctl's. */
export function labelsOf(network: Network): Readonly<Record<string, string>> {
  const labels = memberOf(network.config, 'labels') ?? memberOf(network.config, 'nerdctlLabels')
  if (labels?.type !== 'object') return {}
  return Object.fromEntries(labels.keys.map((key, i) => [key, labels.items[i]?.text ?? '']))
}

/** @param wanted `KEY` or `KEY=VALUE` */
export function matchesLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=')
  if (at < 0) return Object.hasOwn(labels, wanted)
  return labels[wanted.slice(0, at)] === wanted.slice(at + 1)
}
