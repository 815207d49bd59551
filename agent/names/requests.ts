/** What the plugin `dns` asks of the agent. */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { DaemonRequest } from '../../lib/daemon/request.ts'
import { type Carry, nothing, patience } from '../requests.ts'
import type { Names } from './names.ts'

export const NAME_REQUESTS: ReadonlyMap<string, Carry<Names>> = new Map<string, Carry<Names>>([
  ['name-arrived', (names, request) => nothing(() => arrived(names, request))],
  ['names-handed', names => nothing(() => void names.takeHanded())],
  ['name-left', (names, request) => nothing(() => names.left(request.attachment(), patience(request)))],
  ['name-check', (names, request) => nothing(() => names.check(request.attachment()))],
  ['name-status', (names, request) => nothing(() => status(names, request))]
])

/** A plugin of before names no network. */
function status(names: Names, { members }: DaemonRequest): void {
  names.status(members.text('network'), members.boolean('cluster', false))
}

async function arrived(names: Names, request: DaemonRequest): Promise<void> {
  const { members } = request
  const stateDir = members.text('stateDir') ?? ''
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
