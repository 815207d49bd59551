/**
 * Containers of podman: over its socket where its service listens, else from what it has written down, since podman needs
 * no daemon and most hosts run none.
 *
 * @source podman's REST API, libpod/containers/json; containers/storage: `<driver>-containers/containers.json` and `userdata`
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { errnoOf } from '../../lib/sys/errors.ts'
import { readText } from '../../lib/sys/files.ts'
import { ANSWER_MS, type RuntimeContainer, RuntimeUnknown } from './runtime-container.ts'

/** The oldest version of the interface that podman 4 and 5 both have. */
const LIST = '/v4.0.0/libpod/containers/json'

interface Listed {
  readonly Id: string
  readonly Names: readonly string[] | null
  readonly Pid: number
  readonly PodName?: string
}

/** Running containers, by podman's service. @throws RuntimeUnknown */
export async function servedContainers(socket: string): Promise<readonly RuntimeContainer[]> {
  const what = `ask podman at ${JSON.stringify(socket)}`
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const asked = request({ socketPath: socket, path: LIST, timeout: ANSWER_MS }, response => {
    const isGood = response.statusCode === 200
    textOf(response).then(
      body => (isGood ? resolve(body) : reject(new RuntimeUnknown(`${what}: status ${String(response.statusCode)}`))),
      (error: unknown) => reject(new RuntimeUnknown(`${what}: ${errnoOf(error)}`))
    )
  })
  asked.on('timeout', () => asked.destroy(new Error('it does not answer')))
  asked.on('error', error => reject(new RuntimeUnknown(`${what}: ${errnoOf(error) || error.message}`)))
  asked.end()
  return parsed<Listed>(what, await promise)
    .filter(one => one.Pid > 0)
    .map(one => describe({ id: one.Id, names: one.Names ?? [], pid: one.Pid, pod: one.PodName ?? '' }))
}

/** Where podman keeps what lasts, and what is gone after a boot. */
export interface PodmanStorage {
  readonly graphRoot: string
  readonly runRoot: string
}

/** @param files storage.conf in the order in which they count */
export function storageOf(files: readonly string[]): PodmanStorage {
  const text = files.map(readText).find(one => one !== undefined) ?? ''
  const valueOf = (key: string, otherwise: string): string =>
    new RegExp(`^\\s*${key}\\s*=\\s*"([^"]*)"`, 'm').exec(text)?.[1] ?? otherwise
  return {
    graphRoot: valueOf('graphroot', '/var/lib/containers/storage'),
    runRoot: valueOf('runroot', '/run/containers/storage')
  }
}

/** Running containers, from podman's files. @throws RuntimeUnknown when they may not be read */
export function storedContainers({ graphRoot, runRoot }: PodmanStorage): readonly RuntimeContainer[] {
  try {
    const drivers = readdirSync(graphRoot).filter(name => name.endsWith('-containers'))
    return drivers.flatMap(driver => {
      const list = readText(join(graphRoot, driver, 'containers.json'))
      const all: readonly { readonly id: string; readonly names?: readonly string[] }[] =
        list === undefined ? [] : JSON.parse(list)
      return all.flatMap(({ id, names = [] }) => {
        const pid = pidIn(join(runRoot, driver, id, 'userdata', 'pidfile'))
        return pid === undefined ? [] : [describe({ id, names, pid, pod: '' })]
      })
    })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw new RuntimeUnknown(
      `read what podman keeps in ${JSON.stringify(graphRoot)}: ${errnoOf(error) || String(error)}`
    )
  }
}

/** Milliseconds by which a clock read twice may differ, and a tick. */
const SLACK_MS = 1000
/** USER_HZ, in which /proc counts. */
const TICKS_PER_SECOND = 100

/**
 * The process that the file names; undefined when it has ended. Podman leaves the file when a container ends, and the number
 * may be another process's by now: one that was started after the file was written.
 */
function pidIn(path: string): number | undefined {
  const text = readText(path)?.trim() ?? ''
  if (!/^[0-9]+$/.test(text)) return undefined
  try {
    const stat = readFileSync(`/proc/${text}/stat`, 'utf8')
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    const upSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
    const started = Date.now() - (upSeconds - ticks / TICKS_PER_SECOND) * 1000
    return started <= statSync(path).mtimeMs + SLACK_MS ? Number(text) : undefined
  } catch {
    return undefined
  }
}

/** A list, as far as it is one. @throws RuntimeUnknown */
function parsed<T>(what: string, text: string): readonly T[] {
  try {
    const all: unknown = JSON.parse(text)
    if (Array.isArray(all)) return all
  } catch {
    // said below
  }
  throw new RuntimeUnknown(`${what}: what it says is not understood`)
}

interface Known {
  readonly id: string
  readonly names: readonly string[]
  readonly pid: number
  readonly pod: string
}

function describe({ id, names, pid, pod }: Known): RuntimeContainer {
  const [name = ''] = names
  return {
    runtime: 'podman',
    id,
    names: pod === '' ? names : [...names, pod],
    name: pod === '' ? name : pod,
    shown: `podman ${name === '' ? id : name}`,
    containerId: id,
    netns: `/proc/${String(pid)}/ns/net`
  }
}
