/** `patchbay ps`: the containers that `patchbay run` started. */
import { memberOf } from '../../lib/config/json.ts'
import { AttachmentCache, type CachedAttachment } from '../../lib/runtime/cache.ts'
import type { Call } from '../call.ts'
import { type Filters, filterOf } from '../filter.ts'
import { formatted, type Row } from '../format.ts'
import { UsageError } from '../output.ts'
import { portText } from './ports.ts'
import { portsOf } from './publish.ts'
import { type ContainerState, ContainerStore, isRunning } from './store.ts'

const COLUMNS = ['Name', 'Command', 'Status', 'Networks', 'Addresses', 'Ports']
const FIELDS = [...COLUMNS, 'Created', 'CreatedAt', 'State', 'Pid', 'Running', 'ExitStatus']
/** Docker's names of them. */
const ALSO_CALLED = { Names: 'Name', ID: 'Name', RunningFor: 'Created' }

/** `ps` */
export async function ps(call: Call): Promise<number> {
  const cached = new AttachmentCache(call.place.cacheDir).list()
  const isWanted = filterOf(call.texts('filter'), FILTERS)
  const last = lastOf(call)
  const isAll =
    call.has('all') || last !== undefined || call.texts('filter').some(text => /^(status|exited)=/.test(text))
  const rows = new ContainerStore(call.runDir)
    .list()
    .map(state => rowOf(state, cached))
    .filter(row => (isAll || row['Running'] === true) && isWanted(row))
  const shown = last === undefined ? rows : rows.toSorted(newestFirst).slice(0, last)
  const elastic = call.has('no-trunc') ? undefined : 'Command'
  call.output.out(
    await formatted(call, shown, { columns: COLUMNS, key: 'Name', fields: FIELDS, alsoCalled: ALSO_CALLED, elastic })
  )
  return 0
}

/** How many, of --latest and --last; undefined for all of them. */
function lastOf(call: Call): number | undefined {
  const text = call.text('last') ?? (call.has('latest') ? '1' : undefined)
  if (text === undefined || /^[0-9]{1,9}$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new UsageError(`read --last ${JSON.stringify(text)}: must be a number`)
}

function newestFirst(a: Row, b: Row): number {
  return Date.parse(String(b['CreatedAt'])) - Date.parse(String(a['CreatedAt']))
}

const FILTERS: Filters = {
  name: (row, value) => String(row['Name']).includes(value),
  id: (row, value) => String(row['Name']).startsWith(value),
  network: (row, value) => Array.isArray(row['Networks']) && row['Networks'].includes(value),
  status: (row, value) => row['State'] === value,
  exited: (row, value) => row['ExitStatus'] === Number(value),
  publish: (row, value) => Array.isArray(row['Ports']) && row['Ports'].some(port => isPublished(String(port), value))
}

/** @param shown `0.0.0.0:8080->80/tcp` @param wanted `8080` or `8080/tcp` */
function isPublished(shown: string, wanted: string): boolean {
  const [, port = '', protocol = ''] = /:(\d+)->\d+\/(\w+)$/.exec(shown) ?? []
  return wanted === port || wanted === `${port}/${protocol}`
}

function rowOf(state: ContainerState, cached: readonly CachedAttachment[]): Row {
  const running = isRunning(state)
  // One that runs may have been connected to more networks since, or taken off some.
  const own = cached.filter(one => one.containerId === state.name)
  return {
    Name: state.name,
    Command: state.command.join(' ').replaceAll(/\s+/g, ' '),
    Status: running ? `up ${ago(state.created)}` : endText(state),
    Networks: own.length === 0 ? state.networks : [...new Set(own.map(one => one.network))],
    Addresses: (own.length === 0 ? state.addresses : own.flatMap(addressesOf)).map(one => one.replace(/\/.*/, '')),
    Ports: own.flatMap(portsOf).map(portText),
    Created: `${ago(state.created)} ago`,
    CreatedAt: state.created,
    State: running ? 'running' : 'exited',
    Pid: running ? state.pid : 0,
    Running: running,
    ExitStatus: state.exitStatus ?? null
  }
}

function addressesOf({ result }: CachedAttachment): readonly string[] {
  const ips = result === undefined ? undefined : memberOf(result, 'ips')
  return (ips?.items ?? []).map(ip => memberOf(ip, 'address')?.text ?? '')
}

/** Without a status where what waited for it was killed. */
function endText({ exitStatus }: ContainerState): string {
  return exitStatus === undefined ? 'ended' : `exited (${String(exitStatus)})`
}

/** `5 minutes` */
function ago(time: string): string {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000))
  const units = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute']
  ] as const
  const [size, unit] = units.find(([least]) => seconds >= least) ?? [1, 'second']
  const count = Math.floor(seconds / size)
  return `${String(count)} ${unit}${count === 1 ? '' : 's'}`
}
