/** `patchbay map`: the host's networks as a drawing. */
import { writeFileSync } from 'node:fs'
import { DEFAULT_CONFIG, parseConfig } from '../../agent/config.ts'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { readText } from '../../lib/sys/files.ts'
import type { ClusterHostView, View } from '../../lib/view/model.ts'
import { readView } from '../../lib/view/read.ts'
import type { Call } from '../call.ts'
import { adviceFor, CommandError, jsonLine } from '../output.ts'
import { dotMap } from './dot.ts'
import { htmlMap } from './html.ts'
import { svgMap } from './svg.ts'
import { type Screen, terminalMap } from './terminal.ts'

export async function map(call: Call): Promise<number> {
  const { output } = call
  const view = call.has('cluster') ? { ...viewFor(call), cluster: await clusterReader(call)() } : viewFor(call)
  const files = (['svg', 'html'] as const).flatMap(form => {
    const path = call.text(form)
    return path === undefined ? [] : [{ path, text: form === 'svg' ? svgMap(view) : htmlMap(view) }]
  })
  for (const file of files) write(file.path, file.text)
  if (call.asJson) output.out(jsonLine(view))
  else if (call.has('dot')) output.out(dotMap(view))
  else if (files.length === 0) output.out(terminalMap(view, screenOf(call)))
  return 0
}

/** What the options say of where things are. */
export function viewFor(call: Call): View {
  const { confDir, cacheDir } = call.place
  const stateDir = call.text('state-dir') ?? DEFAULT_STATE_DIR
  const agentSocket = call.text('agent-socket') ?? DEFAULT_SOCKET
  return readView({ confDir, cacheDir, stateDir, agentSocket, netns: call.text('netns'), withRoutes: true })
}

/** @returns reads all hosts of the cluster @throws CommandError where there is no registry that knows them */
export function clusterReader(call: Call): () => Promise<readonly ClusterHostView[]> {
  const path = call.text('config') ?? DEFAULT_CONFIG
  const text = readText(path)
  const etcd = text === undefined ? undefined : parseConfig(text).etcd
  if (etcd === undefined) {
    const what = text === undefined ? 'is not there' : 'names no etcd'
    throw new CommandError(
      `read the cluster: ${JSON.stringify(path)} ${what}`,
      "name the agent's configuration: --config FILE"
    )
  }
  return async () => (await import('../../agent/cluster-view.ts')).readCluster(etcd)
}

/** Names and addresses of everything here are not for everybody: 0600. */
function write(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 })
  } catch (error) {
    throw new CommandError(
      `write ${JSON.stringify(path)}: ${errnoOf(error)}`,
      adviceFor(error, 'name a file in a directory that is there')
    )
  }
}

function screenOf(call: Call): Screen {
  const { env, stdout } = process
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find(text => text !== undefined && text !== '') ?? ''
  return {
    width: stdout.isTTY ? stdout.columns : Number.parseInt(env['COLUMNS'] ?? '', 10) || 80,
    isAscii: call.has('ascii') || !/utf-?8/i.test(locale),
    showsAll: call.has('all')
  }
}
