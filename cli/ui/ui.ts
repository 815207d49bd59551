/** `patchbay ui`: the map, live, in a browser. It reads, and changes nothing. */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { DEFAULT_CONFIG } from '../../agent/config.ts'
import { listenForRoot, listening } from '../../lib/daemon/server.ts'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { errnoOf, messageOf } from '../../lib/sys/errors.ts'
import { readView } from '../../lib/view/read.ts'
import type { Call } from '../call.ts'
import { PODMAN_BIN_DIRS, withFindings } from '../doctor/doctor.ts'
import { clusterReader } from '../map/map.ts'
import { CommandError, jsonLine, UsageError } from '../output.ts'
import { intervalOf } from '../top/top.ts'
import type { HealthFinding } from './model.ts'
import { uiServer } from './server.ts'
import { type Source, Watch } from './watch.ts'

export const DEFAULT_LISTEN = '127.0.0.1:4878'
/** 128 bits: nobody tries them all. */
const TOKEN_BYTES = 16

export async function ui(call: Call): Promise<number> {
  const { output } = call
  const where = placeOf(call.text('listen') ?? DEFAULT_LISTEN)
  const { pageText } = await import('./page/bundle.ts')
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const watch = new Watch(sourceFor(call))
  const server = uiServer({ page: await pageText(), token, watch })
  await listen(server, where)
  const url = urlOf(server, where, token)
  if (!isLocal(where)) output.err(REMOTE_WARNING)
  output.out(call.asJson ? jsonLine({ url }) : `${wordsFor(url, where)}\n`)
  await untilEnded(server)
  watch.close()
  server.closeAllConnections()
  server.close()
  if (where.path !== undefined) rmSync(where.path, { force: true })
  return 0
}

const REMOTE_WARNING =
  'patchbay: warning: it listens for others than this host, without encryption: who has the address, or is on the way, sees ' +
  'the networks of this host\n' +
  '  what to do: listen on 127.0.0.1 and come by ssh -L, unless all of that network may see them\n'

interface ListenPlace {
  readonly path?: string
  readonly host?: string
  readonly port?: number
}

/** @throws {UsageError} */
export function placeOf(text: string): ListenPlace {
  if (text.startsWith('unix:/')) return { path: text.slice('unix:'.length) }
  const [, host = '', port = ''] = /^(.+):([0-9]{1,5})$/.exec(text) ?? []
  const address = host.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) !== 0 && Number(port) < 65_536) return { host: address, port: Number(port) }
  throw new UsageError(
    `read --listen ${JSON.stringify(text)}: must be ADDRESS:PORT or unix:PATH with an absolute path`,
    `as in ${DEFAULT_LISTEN}, [::1]:0 or unix:/run/patchbay/ui.sock`
  )
}

function isLocal({ path, host = '' }: ListenPlace): boolean {
  return path !== undefined || host === '::1' || /^127\./.test(host)
}

async function listen(server: Server, where: ListenPlace): Promise<void> {
  try {
    if (where.path === undefined) await listening(server, where)
    else await listenForRoot(server, where.path)
  } catch (error) {
    const advice = errnoOf(error) === 'EADDRINUSE' ? '--listen 127.0.0.1:0 takes a port that is free' : ''
    throw new CommandError(`listen: ${messageOf(error)}`, advice)
  }
}

/** Of a socket file the path alone has a meaning: whoever leads a port to it knows the port. */
function urlOf(server: Server, { path }: ListenPlace, token: string): string {
  if (path !== undefined) return `http://localhost/${token}/`
  const { address, port, family } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${String(port)}/${token}/`
}

function wordsFor(url: string, { path }: ListenPlace): string {
  if (path === undefined) return `${url}\nopen it in a browser; Ctrl-C ends it`
  const local = url.replace('//localhost/', '//localhost:4878/')
  return `listening on ${path}; from elsewhere: ssh -L 4878:${path} HOST, then open\n${local}`
}

function sourceFor(call: Call): Source {
  const { confDir, cacheDir } = call.place
  const stateDir = call.text('state-dir') ?? DEFAULT_STATE_DIR
  const agentSocket = call.text('agent-socket') ?? DEFAULT_SOCKET
  const netns = call.text('netns')
  const places = {
    ...call.place,
    stateDir,
    agentSocket,
    netns,
    otherBinDirs: call.has('bin-dir') ? [] : PODMAN_BIN_DIRS,
    agentConfig: call.text('config') ?? DEFAULT_CONFIG
  }
  return {
    read: () => readView({ confDir, cacheDir, stateDir, netns, agentSocket, withRoutes: true }),
    readCluster: call.has('cluster') ? clusterReader(call) : undefined,
    check: () => withFindings(places, [], async found => found.map(plain)),
    interval: intervalOf(call.text('interval')) * 1000
  }
}

function plain({ check, severity, what, evidence, remedy }: HealthFinding): HealthFinding {
  return { check, severity, what, evidence, remedy }
}

function untilEnded(server: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  server.once('error', reject)
  return promise
}
