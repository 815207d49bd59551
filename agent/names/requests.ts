/** What the plugin `dns` asks of the agent. */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import type { Names } from './names.ts'

type Carry = (names: Names, request: DaemonRequest) => Promise<void> | void

const REQUESTS: ReadonlyMap<string, Carry> = new Map<string, Carry>([
  ['name-arrived', arrived],
  ['name-left', (names, request) => names.left(request.attachment())],
  ['name-check', (names, request) => names.check(request.attachment())],
  ['name-status', (names, request) => names.status(request.members.boolean('cluster', false))]
])

/** The requests that there are. */
export const NAME_REQUESTS: ReadonlySet<string> = new Set(REQUESTS.keys())

/** @throws {CniError} {ConfigError} what the plugin is to tell */
export async function answerNames(names: Names, request: DaemonRequest): Promise<undefined> {
  const carryOut = REQUESTS.get(request.what)
  if (carryOut === undefined) throw request.unknown()
  await carryOut(names, request)
  return undefined
}

async function arrived(names: Names, request: DaemonRequest): Promise<void> {
  const stateDir = request.members.text('stateDir') ?? ''
  const attachment = request.attachment()
  if (stateDir !== '' && stateDir !== names.stateDir) {
    const [theirs, ours] = [stateDir, names.stateDir].map(path => JSON.stringify(path))
    throw new CniError(
      INVALID_CONFIG,
      `read names from ${theirs}: the agent looks in ${ours}`,
      'configure one directory: "stateDir" of the plugin, "pluginStateDir" of the agent'
    )
  }
  await names.arrived(attachment, request.milliseconds)
}
