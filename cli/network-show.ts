/** `patchbay network ls` and `inspect`: which networks there are, and who is on them. */
import { parseArgs } from 'node:util'
import { jsonText, memberOf } from '../lib/config/json.ts'
import type { CachedAttachment } from '../lib/runtime/cache.ts'
import { loadNetwork, loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { usage } from './attachment.ts'
import { rangesOf } from './network-ranges.ts'
import { jsonLine, type Output, tableText } from './output.ts'
import { PLACE_OPTIONS, placeOf, runtimeAt } from './place.ts'

/** `network ls` */
export async function list(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, quiet: { type: 'boolean', short: 'q' } } as const
  const { values } = parseArgs({ args: [...argv], options })
  const place = placeOf(values)
  const { networks, problems } = loadNetworks(place.confDir)
  const cache = runtimeAt(place, output).cache
  const rows = networks.map(one => ({
    name: one.name,
    plugins: one.plugins.map(pluginType),
    subnets: rangesOf(one).map(range => range.subnet),
    containers: cache.list(one.name).length,
    path: one.path
  }))
  if (values.json === true) output.out(jsonLine(rows))
  else if (values.quiet === true) output.out(rows.map(row => `${row.name}\n`).join(''))
  else {
    const cells = rows.map(row => [
      row.name,
      row.plugins.join(' '),
      row.subnets.join(' ') || '-',
      String(row.containers)
    ])
    output.out(tableText(['NETWORK', 'PLUGINS', 'SUBNETS', 'CONTAINERS'], cells))
  }
  for (const problem of problems) output.err(`patchbay: ${problem.message}\n`)
  return 0
}

/** `network inspect NAME…`: JSON in Docker's words. */
export async function inspect(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: PLACE_OPTIONS, allowPositionals: true })
  if (positionals.length === 0) throw usage('network inspect NAME...')
  const place = placeOf(values)
  const cache = runtimeAt(place, output).cache
  output.out(jsonLine(positionals.map(name => inspected(loadNetwork(place.confDir, name), cache.list(name)))))
  return 0
}

function inspected(one: Network, attachments: readonly CachedAttachment[]): object {
  const labels: unknown = JSON.parse(one.text).labels ?? {}
  return {
    Name: one.name,
    Driver: one.plugins[0] === undefined ? '' : pluginType(one.plugins[0]),
    Internal: !one.plugins.some(plugin => memberOf(memberOf(plugin, 'ipam') ?? plugin, 'routes') !== undefined),
    IPAM: {
      Config: rangesOf(one).map(range => ({
        Subnet: range.subnet,
        ...(range.gateway === '' ? {} : { Gateway: range.gateway })
      }))
    },
    Containers: shownContainers(attachments),
    Labels: labels,
    CniVersion: one.cniVersion,
    Plugins: one.plugins.map(pluginType),
    Path: one.path
  }
}

/** By container id, since a container may be on a network twice. */
function shownContainers(attachments: readonly CachedAttachment[]): Readonly<Record<string, readonly object[]>> {
  const byId: Record<string, object[]> = {}
  for (const cached of attachments) {
    const shown = byId[cached.containerId] ?? []
    shown.push(shownContainer(cached))
    byId[cached.containerId] = shown
  }
  return byId
}

function shownContainer(cached: CachedAttachment): object {
  interface Shown {
    readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
    readonly ips?: readonly { readonly address: string }[]
  }
  const result: Shown = cached.result === undefined ? {} : JSON.parse(jsonText(cached.result))
  const own = (result.interfaces ?? []).find(one => one.name === cached.ifName && one.sandbox !== undefined)
  return {
    Interface: cached.ifName,
    MacAddress: own?.mac ?? '',
    Addresses: (result.ips ?? []).map(ip => ip.address),
    Netns: cached.netns
  }
}
