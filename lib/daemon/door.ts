/** How plugins reach a daemon of this host: a unix socket that only root may use, and one line each way. */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** A question that does not end is none. */
const LONGEST_LINE = 1024 * 1024
const QUESTION_MS = 30_000
/** systemd's first passed socket. @source man 3 sd_listen_fds */
const FIRST_PASSED_FD = 3

/** Answers a question; `gone` is raised when nobody waits for the answer any more. */
export type Answerer = (line: string, gone: AbortSignal) => Promise<string>

/**
 * Serves plugins on the socket, or on the one that systemd has passed; each connection is one question.
 *
 * @throws Error when another daemon answers there
 */
export async function openDoor(path: string, answer: Answerer): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    const gone = new AbortController()
    // A plugin keeps its side open until it has the answer: one that was killed does not.
    socket.on('end', () => gone.abort())
    socket.on('close', () => gone.abort())
    readLine(socket)
      .then(line => answer(line, gone.signal))
      .then(text => socket.end(`${text}\n`))
      .catch(() => socket.destroy())
  })
  if (isPassed()) await listening(server, { fd: FIRST_PASSED_FD })
  else {
    await listenForRoot(server, path)
  }
  return server
}

function isPassed(): boolean {
  return process.env['LISTEN_PID'] === String(process.pid) && Number(process.env['LISTEN_FDS'] ?? '0') > 0
}

function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(QUESTION_MS, () => reject(new Error('no question')))
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
