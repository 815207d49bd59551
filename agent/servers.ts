/** The agent's two doors: the socket for plugins, and HTTP for whoever looks after the host. */
import { chmodSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Agent } from './agent.ts'
import { AgentFailure, codeOf } from './failure.ts'
import type { Metrics } from './metrics.ts'
import { Question } from './question.ts'

/** A question that does not end is none. */
const LONGEST_LINE = 1024 * 1024
/** systemd's first passed socket. @source man 3 sd_listen_fds */
const FIRST_PASSED_FD = 3

/** Serves plugins; each connection is one question. Only root may ask. */
export async function servePlugins(agent: Agent, metrics: Metrics, path: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    readLine(socket)
      .then(line => answerTo(agent, metrics, line))
      .then(answer => socket.end(`${answer}\n`))
      .catch(() => socket.destroy())
  })
  if (isPassed()) await listening(server, { fd: FIRST_PASSED_FD })
  else {
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
  return server
}

function isPassed(): boolean {
  return process.env['LISTEN_PID'] === String(process.pid) && Number(process.env['LISTEN_FDS'] ?? '0') > 0
}

async function answerTo(agent: Agent, metrics: Metrics, line: string): Promise<string> {
  const started = performance.now()
  let what = 'unreadable'
  try {
    const question = new Question(line)
    what = question.text('do').replaceAll(/[^a-z-]/g, '')
    const answer = await agent.answer(question)
    metrics.add(`patchbay_agent_questions_total{do="${what}",ok="true"}`)
    return JSON.stringify({ ok: true, ...answer })
  } catch (error) {
    metrics.add(`patchbay_agent_questions_total{do="${what}",ok="false"}`)
    const msg = error instanceof Error ? error.message : String(error)
    return JSON.stringify({
      ok: false,
      code: codeOf(error),
      msg,
      details: error instanceof AgentFailure ? error.details : ''
    })
  } finally {
    metrics.add(`patchbay_agent_question_milliseconds_total{do="${what}"}`, performance.now() - started)
  }
}

function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(30_000, () => reject(new Error('no question')))
  socket.on('error', reject)
  socket.on('data', chunk => {
    text += String(chunk)
    const end = text.indexOf('\n')
    if (end >= 0) resolve(text.slice(0, end))
    else if (text.length > LONGEST_LINE) reject(new Error('the question is too long'))
  })
  socket.on('end', () => reject(new Error('no question')))
  return promise
}

/** `/healthz` says 200 or why not; `/metrics` is for Prometheus. @param where `unix:PATH` or `HOST:PORT` */
export async function serveHttp(agent: Agent, metrics: Metrics, where: string): Promise<Server> {
  const server = createHttpServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metrics.text())
    } else if (path === '/healthz') {
      const trouble = agent.trouble()
      response.writeHead(trouble === '' ? 200 : 503, { 'content-type': 'text/plain' }).end(`${trouble || 'ok'}\n`)
    } else response.writeHead(404).end()
  })
  if (where.startsWith('unix:')) {
    const path = where.slice('unix:'.length)
    await refuseIfServed(path)
    await listening(server, { path })
    chmodSync(path, 0o600)
  } else {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:([0-9]+)$/.exec(where) ?? []
    await listening(server, { host, port: Number(port) })
  }
  return server
}

/** A socket file whose agent has died is in the way; one that answers belongs to somebody. */
async function refuseIfServed(path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.on('connect', () => resolve(true))
  probe.on('error', () => resolve(false))
  const isServed = await promise
  probe.destroy()
  if (isServed) throw new Error(`listen on ${JSON.stringify(path)}: another agent answers there`)
  rmSync(path, { force: true })
}

function listening(
  server: Server,
  options: { path?: string; fd?: number; host?: string; port?: number }
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(options, resolve)
  return promise
}
