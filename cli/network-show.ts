/** `patchbay network ls` and `inspect`: which networks there are, and who is on them. */
import { jsonText } from '../lib/config/json.ts'
import type { AttachmentCache, CachedAttachment } from '../lib/runtime/cache.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetwork, loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { rangesOf } from '../lib/runtime/network-ranges.ts'
import type { Call } from './call.ts'
import { expandedOver, formatted, type Row } from './format.ts'
import { didYouMean } from './nearest.ts'
import { driverOf, ipamOf, isInternal, labelsOf, matchesLabel, scopeOf } from './network-facts.ts'
import { jsonLine, reportError, UsageError } from './output.ts'
import { runtimeAt } from './place.ts'

const COLUMNS = ['Name', 'Driver', 'Scope', 'Subnets', 'Containers']
const FIELDS = [...COLUMNS, 'Gone', 'Plugins', 'Internal', 'Labels', 'CniVersion', 'Path']

/** `network ls` */
export async function list(call: Call): Promise<number> {
  const { place, output } = call
  const { networks, problems } = loadNetworks(place.confDir)
  const { cache } = runtimeAt(place, output)
  const namespaces = new Namespaces()
  const rows = networks.map(one => rowOf(one, cache, namespaces)).filter(filterOf(call.texts('filter')))
  output.out(await formatted(call, rows, { columns: COLUMNS, key: 'Name', fields: FIELDS }))
  for (const problem of problems) reportError(output, problem, call.asJson)
  return 0
}

function rowOf(one: Network, cache: AttachmentCache, namespaces: Namespaces): Row {
  const attached = cache.list(one.name)
  const gone = attached.filter(cached => namespaces.isGone(cached)).length
  return {
    Name: one.name,
    Driver: driverOf(one),
    Scope: scopeOf(one),
    Subnets: rangesOf(one).map(range => range.subnet),
    Containers: attached.length - gone,
    Gone: gone,
    Plugins: one.plugins.map(pluginType),
    Internal: isInternal(one),
    Labels: labelsOf(one),
    CniVersion: one.cniVersion,
    Path: one.path
  }
}

/** What `-f KEY=VALUE` can ask for. As with Docker, several values of one key are alternatives, but labels must all be there. */
const FILTERS: Readonly<Record<string, (row: Row, value: string) => boolean>> = {
  name: (row, value) => String(row['Name']).includes(value),
  driver: (row, value) => row['Driver'] === value,
  scope: (row, value) => row['Scope'] === value,
  label: (row, value) => matchesLabel(row['Labels'] as Readonly<Record<string, string>>, value),
  dangling: (row, value) => (row['Containers'] === 0) === truth('dangling', value)
}

function truth(key: string, value: string): boolean {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw new UsageError(`read --filter ${key}=${value}: must be true or false`)
}

function filterOf(texts: readonly string[]): (row: Row) => boolean {
  const wanted = texts.map(text => {
    const at = text.indexOf('=')
    const key = at < 0 ? text : text.slice(0, at)
    const filter = Object.hasOwn(FILTERS, key) ? FILTERS[key] : undefined
    if (filter === undefined || at < 0) {
      const near = filter === undefined ? didYouMean(key, Object.keys(FILTERS)) : ''
      const message = `read --filter ${JSON.stringify(text)}: must be KEY=VALUE${near}`
      throw new UsageError(message, `keys are ${Object.keys(FILTERS).join(', ')}`)
    }
    return { key, fits: (row: Row) => filter(row, text.slice(at + 1)) }
  })
  const keys = [...new Set(wanted.map(one => one.key))]
  return row =>
    keys.every(key => {
      const same = wanted.filter(one => one.key === key)
      return key === 'label' ? same.every(one => one.fits(row)) : same.some(one => one.fits(row))
    })
}

/** `network inspect NAME…`: JSON in Docker's words. */
export async function inspect(call: Call): Promise<number> {
  const { place, output } = call
  const { cache } = runtimeAt(place, output)
  const namespaces = new Namespaces()
  const shown: object[] = []
  for (const name of call.words) {
    try {
      shown.push(inspected(loadNetwork(place.confDir, name), cache.list(name), namespaces))
    } catch (error) {
      reportError(output, error, call.asJson)
    }
  }
  const template = call.text('format')
  const format = call.text('output') ?? 'json'
  if (template !== undefined) for (const one of shown) output.out(`${expandedOver(template, one)}\n`)
  else output.out(format === 'yaml' ? (await import('yaml')).stringify(shown) : jsonLine(shown))
  for (const problem of loadNetworks(place.confDir).problems) {
    if (call.words.some(name => problem.message.includes(JSON.stringify(name))))
      reportError(output, problem, call.asJson)
  }
  return shown.length === call.words.length ? 0 : 1
}

function inspected(one: Network, attachments: readonly CachedAttachment[], namespaces: Namespaces): object {
  const internal = isInternal(one)
  const ranges = rangesOf(one)
  return {
    Name: one.name,
    Driver: driverOf(one),
    Scope: scopeOf(one),
    Internal: internal,
    EnableIPv6: ranges.some(range => range.subnet.includes(':')),
    IPAM: {
      Driver: ipamOf(one),
      Config: ranges.map(range => ({
        Subnet: range.subnet,
        // Nothing answers there on a network that leads nowhere.
        ...(range.gateway === '' || internal ? {} : { Gateway: range.gateway }),
        ...(range.start === '' ? {} : { RangeStart: range.start, RangeEnd: range.end }),
        ...(range.exclude.length === 0 ? {} : { Exclude: range.exclude })
      }))
    },
    Containers: shownContainers(attachments, namespaces),
    Labels: labelsOf(one),
    CniVersion: one.cniVersion,
    Plugins: one.plugins.map(pluginType),
    Path: one.path
  }
}

/** By container id, since a container may be on a network twice. */
function shownContainers(
  attachments: readonly CachedAttachment[],
  namespaces: Namespaces
): Readonly<Record<string, readonly object[]>> {
  const byId: Record<string, object[]> = {}
  for (const cached of attachments) {
    const shown = byId[cached.containerId] ?? []
    shown.push(shownContainer(cached, namespaces))
    byId[cached.containerId] = shown
  }
  return byId
}

function shownContainer(cached: CachedAttachment, namespaces: Namespaces): object {
  interface Shown {
    readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
    readonly ips?: readonly { readonly address: string }[]
  }
  const result: Shown = cached.result === undefined ? {} : JSON.parse(jsonText(cached.result))
  const own = (result.interfaces ?? []).find(one => one.name === cached.ifName && one.sandbox !== undefined)
  const path = namespaces.pathOf(cached)
  return {
    Interface: cached.ifName,
    MacAddress: own?.mac ?? '',
    Addresses: (result.ips ?? []).map(ip => ip.address),
    Netns: path === '' ? cached.netns : path,
    State: path === '' ? 'gone' : 'running'
  }
}
