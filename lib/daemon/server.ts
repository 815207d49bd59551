/**
 * A daemon's side of its socket, which only root may use: each connection is one request, answered in one line by
 * `{"ok": true, "result": ...}` or `{"ok": false, "code": 11, "msg": ..., "details": ...}`.
 */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { toCniError } from '../cni/error.ts'
import { type Json, jsonText } from '../config/json.ts'
import { jsonOf } from '../config/plain-json.ts'
import { DaemonRequest } from './request.ts'

/** A request that does not end is none. */
const LONGEST_LINE = 1024 * 1024
const REQUEST_MS = 30_000
/** systemd's first passed socket. @source man 3 sd_listen_fds */
const FIRST_PASSED_FD = 3

/** What a daemon makes of a request. */
export interface RequestHandler {
  /**
   * @param gone raised when nobody waits for the answer any more
   * @returns the result; undefined when there is nothing to tell
   * @throws what the plugin is to tell its runtime, see toCniError
   */
  readonly answer: (request: DaemonRequest, gone: AbortSignal) => Promise<Json | undefined>
  /** After each one, for metrics; `what` is '' for what was no request. */
  readonly answered?: (what: string, isOk: boolean, milliseconds: number) => void
}

/**
 * Serves plugins on the socket, or on the one that systemd has passed.
 *
 * @throws Error when another daemon answers there
 */
export async function serveRequests(path: string, handler: RequestHandler): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    const gone = new AbortController()
    // A plugin keeps its side open until it has the answer: one that was killed does not.
    socket.on('end', () => gone.abort())
    socket.on('close', () => gone.abort())
    readLine(socket)
      .then(line => answerTo(line, handler, gone.signal))
      .then(answer => socket.end(`${jsonText(answer)}\n`))
      .catch(() => socket.destroy())
  })
  if (isPassed()) await listening(server, { fd: FIRST_PASSED_FD })
  else await listenForRoot(server, path)
  return server
}

/** Until a service manager, or somebody at a terminal, ends it. */
export function untilStopped(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve())
  return promise
}

/** Within what systemd waits for a service to end, and what an answer takes that is going to come. */
const DRAIN_MS = 10_000

/**
 * Takes no more calls and waits until those that have been taken are answered, for ten seconds at most.
 *
 * Sequence prevented: a plugin has asked and the daemon is restarted for an upgrade; the call fails, where one that came a moment later
 * would have waited at systemd's socket for the next daemon.
 */
export async function drain(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, DRAIN_MS)
  server.close(() => resolve())
  await promise
  clearTimeout(timer)
}

async function answerTo(line: string, handler: RequestHandler, gone: AbortSignal): Promise<Json> {
  const began = performance.now()
  let what = ''
  let isOk = false
  try {
    const request = new DaemonRequest(line)
    what = request.what
    const result = await handler.answer(request, gone)
    isOk = true
    return jsonOf({ ok: true, result })
  } catch (error) {
    const { code, message, details } = toCniError(error, 'ADD')
    return jsonOf({ ok: false, code, msg: message, details })
  } finally {
    handler.answered?.(what, isOk, performance.now() - began)
  }
}

function isPassed(): boolean {
  return process.env['LISTEN_PID'] === String(process.pid) && Number(process.env['LISTEN_FDS'] ?? '0') > 0
}

function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(REQUEST_MS, () => reject(new Error('no request')))
  socket.on('error', reject)
  socket.on('data', chunk => {
    text += String(chunk)
    const end = text.indexOf('\n')
    if (end >= 0) resolve(text.slice(0, end))
    else if (text.length > LONGEST_LINE) reject(new Error('the request is too long'))
  })
  socket.on('end', () => reject(new Error('no request')))
  return promise
}

/** Listens on a socket file that only root may use. @throws Error when another daemon answers there */
export async function listenForRoot(server: Server, path: string): Promise<void> {
  await refuseIfServed(path)
  // Between bind and chmod nobody else can connect: the mask says so.
  const mask = process.umask(0o177)
  try {
    await listening(server, { path })
  } finally {
    process.umask(mask)
  }
  chmodSync(path, 0o600)
}

/** A socket file whose daemon has died is in the way; one that answers belongs to somebody. */
async function refuseIfServed(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.on('connect', () => resolve(true))
  probe.on('error', () => resolve(false))
  const isServed = await promise
  probe.destroy()
  if (isServed) throw new Error(`listen on ${JSON.stringify(path)}: another daemon answers there`)
  rmSync(path, { force: true })
}

export function listening(
  server: Server,
  options: { path?: string; fd?: number; host?: string; port?: number }
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(options, resolve)
  return promise
}
