/** `patchbay network ls`: which networks there are. */
import { join } from 'node:path'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { rangesOf } from '../lib/runtime/network-ranges.ts'
import { AgentClient, type AgentNetwork } from './agent-client.ts'
import type { Call } from './call.ts'
import { type Filters, filterOf } from './filter.ts'
import { formatted, type Row } from './format.ts'
import { createdAt, driverOf, isInternal, labelsOf, matchesLabel, scopeOf } from './network-facts.ts'
import { idOf } from './network-find.ts'
import { reportError, UsageError } from './output.ts'
import { runtimeAt } from './place.ts'
import { isClosed } from './rights.ts'

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
    .filter(filterOf(call.texts('filter'), FILTERS))
    .map(row => (isWhole ? row : { ...row, ID: String(row['ID']).slice(0, SHORT_ID) }))
  output.out(await formatted(call, shown, { columns: COLUMNS, key: 'Name', fields: FIELDS }))
  for (const problem of problems) reportError(output, problem, call.asJson)
  return 0
}

function rowsAt(call: Call): (one: Network) => Row {
  const { place, output } = call
  const { cache } = runtimeAt(place, output)
  const isSeen = !isClosed(join(place.cacheDir, 'results'))
  const namespaces = new Namespaces()
  return one => {
    const attached = cache.list(one.name)
    const gone = attached.filter(cached => namespaces.isGone(cached)).length
    return rowOf(one, isSeen ? { Containers: attached.length - gone, Gone: gone } : {})
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

/** What `-f KEY=VALUE` can ask for. */
const FILTERS: Filters = {
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
