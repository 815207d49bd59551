/** HTTP for whoever looks after the host. */
import { createServer } from 'node:http'
import type { Server } from 'node:net'
import { listenForRoot, listening } from '../lib/daemon/server.ts'
import type { Metrics } from './metrics.ts'

/**
 * `/healthz` says 200 or why not; `/metrics` is for Prometheus.
 *
 * @param trouble why the agent cannot serve now; '' when it can
 * @param where `unix:PATH` or `HOST:PORT`
 */
export async function serveHttp(trouble: () => string, metrics: Metrics, where: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(metrics.text())
    } else if (path === '/healthz') {
      const reason = trouble()
      response.writeHead(reason === '' ? 200 : 503, { 'content-type': 'text/plain' }).end(`${reason || 'ok'}\n`)
    } else response.writeHead(404).end()
  })
  if (where.startsWith('unix:')) await listenForRoot(server, where.slice('unix:'.length))
  else {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:([0-9]+)$/.exec(where) ?? []
    await listening(server, { host, port: Number(port) })
  }
  return server
}
