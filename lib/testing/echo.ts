/**
 * Who reaches whom, and as whom: a server that answers with its own name and the address that it sees the asker under.
 *
 *     const server = EchoServer.start(container, 'c1', ['tcp 80', 'udp 53'])
 *     assert.is(ask(outside, 'tcp 192.0.2.1 8080'), 'c1 192.0.2.9')
 *     server.close()
 *
 * This file is both the library and the program that runs inside the namespaces.
 */
import { deepEqual } from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Namespace } from './namespace.ts'

const PROGRAM = fileURLToPath(import.meta.url)
/**
 * What has not come by then is dropped. An answer takes no millisecond, but a busy machine may lose the first packet
 * (a link whose carrier the kernel has yet to notice drops it), and TCP sends its SYN again after one second.
 */
const PATIENCE_MS = 1_600
const DATAGRAM_AGAIN_MS = 500
const ROUNDS_MORE = 2

export class EchoServer {
  readonly #child: ChildProcess
  readonly #directory: string

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child
    this.#directory = directory
  }

  /**
   * Starts a server and waits until it listens, on every address of the namespace.
   *
   * @param name what its answers begin with
   * @param places `tcp 80`, `udp 53`
   */
  static start(namespace: Namespace, name: string, places: readonly string[]): EchoServer {
    const directory = mkdtempSync(join(tmpdir(), 'echo-'))
    const ready = join(directory, 'ready')
    const args = [
      `--net=${namespace.path}`,
      process.execPath,
      '--no-warnings',
      PROGRAM,
      'serve',
      name,
      ready,
      ...places
    ]
    const child = spawn('nsenter', args, { stdio: 'ignore' })
    const deadline = Date.now() + 30_000
    while (!existsSync(ready)) {
      if (Date.now() > deadline) throw new Error('start echo server: it does not listen')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
    return new EchoServer(child, directory)
  }

  close(): void {
    this.#child.kill('SIGKILL')
    rmSync(this.#directory, { recursive: true })
  }
}

/**
 * Asks several servers at once, from one namespace.
 *
 * @param places each `tcp 192.0.2.1 8080`, `udp fd00::1 53`, with a third word the own address to ask from
 * @returns the answers in the same order; '' where none came
 */
export function askAll(namespace: Namespace, places: readonly string[]): readonly string[] {
  const asked = namespace.run(process.execPath, ['--no-warnings', PROGRAM, 'ask', ...places])
  if (asked.status !== 0) throw new Error(`ask: ${asked.stderr}`)
  return asked.stdout.split('\n').slice(0, places.length)
}

/**
 * Asks, and wants these answers. An answer that is wanted and does not come is asked for again: a busy machine loses
 * packets, and is slow.
 *
 * @param what is told when the answers differ
 * @throws {AssertionError}
 */
export function expectAnswers(
  namespace: Namespace,
  places: readonly string[],
  expected: readonly string[],
  what = ''
): void {
  const answers = [...askAll(namespace, places)]
  for (let round = 0; round < ROUNDS_MORE; round += 1) {
    const missing = [...places.keys()].filter(i => answers[i] === '' && expected[i] !== '')
    if (missing.length === 0) break
    const again = askAll(
      namespace,
      missing.map(i => places[i] ?? '')
    )
    for (const [n, i] of missing.entries()) answers[i] = again[n] ?? ''
  }
  const shown = (list: readonly string[]) => places.map((place, i) => `${place}: ${list[i] ?? ''}`)
  deepEqual(
    shown(answers),
    shown(expected),
    `${what} ${shown(answers).join(', ')}; wanted ${shown(expected).join(', ')}`
  )
}

/** Asks one server; '' when no answer comes. */
export function ask(namespace: Namespace, place: string): string {
  return askAll(namespace, [place])[0] ?? ''
}

/** IPv4 as such, also where a socket for both shows it mapped. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function serve(name: string, ready: string, places: readonly string[]): void {
  let open = places.length
  const listening = (): void => {
    open -= 1
    if (open === 0) writeFileSync(ready, '')
  }
  for (const place of places) {
    const [protocol, port] = place.split(' ')
    if (protocol === 'tcp') {
      createServer(socket => {
        socket.on('error', () => socket.destroy())
        socket.end(`${name} ${plain(socket.remoteAddress ?? '')}`)
      }).listen(Number(port), '::', listening)
      continue
    }
    const socket = createSocket('udp6')
    socket.on('message', (_, from) => socket.send(`${name} ${plain(from.address)}`, from.port, from.address))
    socket.bind(Number(port), '::', listening)
  }
}

function askOne(place: string): Promise<string> {
  const [protocol = '', host = '', port = '', localAddress] = place.split(' ')
  return new Promise(resolve => {
    let again: NodeJS.Timeout | undefined
    const finish = (answer: string): void => {
      clearTimeout(timer)
      clearInterval(again)
      resolve(answer)
    }
    const timer = setTimeout(finish, PATIENCE_MS, '')
    if (protocol === 'tcp') {
      const socket = connect({ host, port: Number(port), ...(localAddress === undefined ? {} : { localAddress }) })
      let answer = ''
      socket.on('data', chunk => {
        answer += chunk.toString()
      })
      socket.on('end', () => finish(answer))
      socket.on('error', () => finish(''))
      return
    }
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', message => finish(message.toString()))
    socket.on('error', () => finish(''))
    const send = (): void => {
      socket.send('?', Number(port), host)
      again = setInterval(() => socket.send('?', Number(port), host), DATAGRAM_AGAIN_MS)
    }
    if (localAddress === undefined) send()
    else socket.bind({ address: localAddress }, send)
  })
}

async function main(args: readonly string[]): Promise<void> {
  const [verb, ...rest] = args
  if (verb === 'serve') {
    const [name = '', ready = '', ...places] = rest
    serve(name, ready, places)
  }
  if (verb === 'ask') {
    const answers = await Promise.all(rest.map(place => askOne(place)))
    process.stdout.write(answers.map(answer => `${answer}\n`).join(''), () => process.exit(0))
  }
}

if (process.argv[1] === PROGRAM) await main(process.argv.slice(2))
