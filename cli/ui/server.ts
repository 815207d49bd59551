/**
 * HTTP for one page: the page itself and a stream of events, below a path that nobody can guess. Everything else is 404, and nothing
 * changes anything.
 *
 * What keeps others out: the path (any user of the host can connect to a port of 127.0.0.1), and Host, which has to be an address or
 * localhost (a name that a stranger's page had resolved to 127.0.0.1 is refused). What is in the page harms nothing: its policy lets
 * its own script run and its own server be asked.
 *
 * @source WHATWG HTML, Server-sent events; RFC 9110 7.2; Content Security Policy Level 3
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Watch } from './watch.ts'

/** So many look at a time at most: each tab of a browser is one. */
const MOST_LOOKERS = 64
/** Who does not take what is sent is cut off, and starts anew with a whole model. */
const MOST_WAITING = 16 * 1024 * 1024
/** Proxies end a connection that is silent for a minute. */
const BEAT_MS = 20_000

export interface Site {
  /** The page's text. */
  readonly page: string
  readonly token: string
  readonly watch: Watch
}

export function uiServer({ page, token, watch }: Site): Server {
  const policy = policyOf(page)
  let lookers = 0
  return createServer((request, response) => {
    const refusal = refusalOf(request)
    if (refusal !== undefined) {
      answer(response, refusal.status, refusal.text)
      return
    }
    const rest = pathBelow(request.url ?? '', token)
    if (rest === '') {
      response.writeHead(200, {
        ...HEADERS,
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policy
      })
      response.end(request.method === 'HEAD' ? undefined : page)
    } else if (rest !== 'events') {
      answer(response, 404, 'nothing is here: the address ends with the token that patchbay ui has printed')
    } else if (lookers >= MOST_LOOKERS) {
      answer(response, 503, `${String(MOST_LOOKERS)} pages look already`)
    } else {
      lookers += 1
      response.on('close', () => {
        lookers -= 1
      })
      stream(response, watch)
    }
  })
}

const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin'
}

function answer(response: ServerResponse, status: number, text: string): void {
  const policy = { 'content-security-policy': "default-src 'none'" }
  response.writeHead(status, { ...HEADERS, ...policy, 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}

function refusalOf({
  method,
  headers
}: IncomingMessage): { readonly status: number; readonly text: string } | undefined {
  if (!isHostAllowed(headers.host ?? '')) return { status: 421, text: 'Host must be an address or localhost' }
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'only GET' }
  return undefined
}

/** An address or localhost, with any port: it may be another one that `ssh -L` leads here. */
export function isHostAllowed(host: string): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::[0-9]{1,5})?$/i.exec(host)?.[1] ?? ''
  return name.toLowerCase() === 'localhost' || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
}

/** What follows `/TOKEN/`; undefined where the path does not begin so. */
function pathBelow(url: string, token: string): string | undefined {
  const [, given = '', rest] = /^\/([^/?]*)\/([^/?]*)$/.exec(url) ?? []
  // Digests, so that both are of one length.
  const [a, b] = [given, token].map(text => createHash('sha256').update(text).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b) ? rest : undefined
}

function stream(response: ServerResponse, watch: Watch): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' })
  const remove = watch.add((event, data) => {
    if (response.writableLength > MOST_WAITING) response.destroy()
    else response.write(`event: ${event}\ndata: ${data}\n\n`)
  })
  const beat = setInterval(() => response.write(':\n\n'), BEAT_MS)
  response.on('close', () => {
    clearInterval(beat)
    remove()
  })
}

/** Lets exactly the page's own script and style run, and its own server be asked. The icon is in the page. */
function policyOf(page: string): string {
  const hashOf = (tag: string): string => {
    const text = new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(page)?.[1] ?? ''
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  }
  return [
    "default-src 'none'",
    `script-src ${hashOf('script')}`,
    `style-src ${hashOf('style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join('; ')
}
