/** `patchbay network ls`: which networks there are. */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { rangesOf } from '../lib/runtime/network-ranges.ts'
import { AgentClient, type AgentNetwork } from './agent-client.ts'
import type { Call } from './call.ts'
import { formatted, type Row } from './format.ts'
import { didYouMean } from './nearest.ts'
import { createdAt, driverOf, isInternal, labelsOf, matchesLabel, scopeOf } from './network-facts.ts'
import { idOf } from './network-find.ts'
import { reportError, UsageError } from './output.ts'
import { type Place, runtimeAt } from './place.ts'

const COLUMNS = ['ID', 'Name', 'Driver', 'Scope', 'Subnets', 'Containers']
const FIELDS = [
  ...COLUMNS,
  'Gone',
  'Plugins',
  'Internal',
  'IPv6',
  'Labels',
  'CreatedAt',
  'CniVersion',
  'Path',
  'Problem'
]
/** As many digits of an id are shown as tell it apart. */
const SHORT_ID = 12

/** `network ls` */
export async function list(call: Call): Promise<number> {
  const { place, output } = call
  const { networks, problems } = loadNetworks(place.confDir)
  const rows = [...networks.map(rowsAt(call)), ...missingHere(call, networks), ...BUILT_IN]
  const isWhole = call.has('no-trunc') || call.asJson || ['json', 'yaml'].includes(call.text('output') ?? '')
  const shown = rows
    .filter(filterOf(call.texts('filter')))
    .map(row => (isWhole ? row : { ...row, ID: String(row['ID']).slice(0, SHORT_ID) }))
  output.out(await formatted(call, shown, { columns: COLUMNS, key: 'Name', fields: FIELDS }))
  for (const problem of problems) reportError(output, problem, call.asJson)
  return 0
}

function rowsAt(call: Call): (one: Network) => Row {
  const { place, output } = call
  const { cache } = runtimeAt(place, output)
  const isSeen = mayRead(place)
  if (!isSeen) output.err('patchbay: who is attached only root can see: sudo patchbay network ls\n')
  const namespaces = new Namespaces()
  return one => {
    const attached = cache.list(one.name)
    const gone = attached.filter(cached => namespaces.isGone(cached)).length
    return rowOf(one, isSeen ? { Containers: attached.length - gone, Gone: gone } : {})
  }
}

/** libcni's cache is root's. */
function mayRead({ cacheDir }: Place): boolean {
  const results = join(cacheDir, 'results')
  try {
    accessSync(existsSync(results) ? results : '/', constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function rowOf(one: Network, containers: Row): Row {
  const subnets = rangesOf(one).map(range => range.subnet)
  return {
    ID: idOf(one),
    Name: one.name,
    Driver: driverOf(one),
    Scope: scopeOf(one),
    Subnets: subnets,
    ...containers,
    Plugins: one.plugins.map(pluginType),
    Internal: isInternal(one),
    IPv6: subnets.some(subnet => subnet.includes(':')),
    Labels: labelsOf(one),
    CreatedAt: createdAt(one),
    CniVersion: one.cniVersion,
    Path: one.path
  }
}

/** Networks of the cluster that runtimes of this host do not find, because somebody's file has the name. */
function missingHere(call: Call, networks: readonly Network[]): readonly Row[] {
  const ids = new Set(networks.map(idOf))
  const known = new AgentClient(call.text('agent-socket')).networksIfThere()
  return known.flatMap(one => (ids.has(one.network.id) || one.problem === '' ? [] : [missingRow(one)]))
}

function missingRow({ name, network, problem }: AgentNetwork): Row {
  return {
    ID: network.id,
    Name: name,
    Driver: 'overlay',
    Scope: 'cluster',
    Subnets: network.ranges.map(range => range.subnet),
    Internal: network.internal,
    Labels: network.labels,
    CreatedAt: network.created,
    Problem: problem
  }
}

/** What `run --network` takes beside networks. */
const BUILT_IN: readonly Row[] = [
  { ID: '', Name: 'host', Driver: 'host', Scope: 'local', Subnets: [], Labels: {} },
  { ID: '', Name: 'none', Driver: 'null', Scope: 'local', Subnets: [], Labels: {} }
]

/** What `inspect` says of a word that is no network of its own; undefined for every other name. */
export function builtInNetwork(name: string): object | undefined {
  const row = BUILT_IN.find(one => one['Name'] === name)
  return row === undefined ? undefined : { Name: row['Name'], Driver: row['Driver'], Scope: row['Scope'] }
}

/** What `-f KEY=VALUE` can ask for. As with Docker, several values of one key are alternatives, but labels must all be there. */
const FILTERS: Readonly<Record<string, (row: Row, value: string) => boolean>> = {
  name: (row, value) => String(row['Name']).includes(value),
  driver: (row, value) => row['Driver'] === value,
  scope: (row, value) => row['Scope'] === value,
  label: (row, value) => matchesLabel(row['Labels'] as Readonly<Record<string, string>>, value),
  id: (row, value) => row['ID'] !== '' && String(row['ID']).startsWith(value),
  dangling: (row, value) => (row['Containers'] === 0) === truth('dangling', value),
  type: (row, value) => BUILT_IN.includes(row) === (kind(value) === 'builtin')
}

function kind(value: string): string {
  if (value === 'builtin' || value === 'custom') return value
  throw new UsageError(`read --filter type=${value}: must be builtin or custom`)
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
