/** What a network's configuration says of it, in Docker's words. */
import { memberOf } from '../lib/config/json.ts'
import { type Network, pluginType } from '../lib/runtime/network.ts'

/** The plugin that makes the interface. */
export function driverOf(network: Network): string {
  return network.plugins[0] === undefined ? '' : pluginType(network.plugins[0])
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
