/** The agent's two doors: the socket for plugins, and HTTP for whoever looks after the host. */
import { createServer as createHttpServer } from 'node:http'
import type { Server } from 'node:net'
import { listenForRoot, listening, openDoor } from '../lib/daemon/door.ts'
import type { Agent } from './agent.ts'
import { AgentFailure, codeOf } from './failure.ts'
import type { Metrics } from './metrics.ts'
import { Question } from './question.ts'

/** Serves plugins; each connection is one question. */
export function servePlugins(agent: Agent, metrics: Metrics, path: string): Promise<Server> {
  return openDoor(path, line => answerTo(agent, metrics, line))
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
  if (where.startsWith('unix:')) await listenForRoot(server, where.slice('unix:'.length))
  else {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:([0-9]+)$/.exec(where) ?? []
    await listening(server, { host, port: Number(port) })
  }
  return server
}
