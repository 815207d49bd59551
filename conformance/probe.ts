/** Traffic: a server that tells each client who it seems to be, and the client. Each runs in a process of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import type { Netns } from './netns.ts'
import { forgeNetlink } from './raw-sockets.ts'
import { selfCommand } from './self.ts'
import type { World } from './world.ts'

export type Transport = 'tcp' | 'udp'

let serial = 0

/** How many times longer everything takes than on a machine of today: set where the processor is emulated. */
const PATIENCE = Number(process.env['PATCHBAY_CONFORMANCE_PATIENCE'] ?? '1')

/** A machine that does other work starts no program faster. */
const START_MS = 20_000 * PATIENCE

/** A server inside a namespace; ended with the world or by `stop`. */
export class Server {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Starts one and waits until it listens. */
  static start(world: World, netns: Netns, transport: Transport, port: number): Server {
    serial += 1
    const ready = join(world.folder, `server-${serial}`)
    const [command, ...args] = selfCommand(['--probe', 'server', transport, String(port), ready])
    const child = netns.inside(() => spawn(command, args, { stdio: 'ignore' }))
    const until = Date.now() + START_MS
    while (!existsSync(ready)) {
      if (Date.now() > until)
        throw new Error(`start ${transport} server on port ${port}: not ready in ${START_MS / 1000} s`)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
    return new Server(child)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

const SEEN_PORT = 8080

/** How long an answer that has to come is waited for: a machine that does other work is slow, not closed. */
const HOPE_MS = 10_000

/** How long one is waited for that must not come. */
const DOUBT_MS = 1000

/**
 * Connects from where this thread is and waits for an answer that has to come.
 * @returns the address that the server saw, undefined when there was no answer
 */
export function ask(transport: Transport, host: string, port: number): string | undefined {
  return askFor(HOPE_MS, transport, host, port)
}

/** Two namespaces; whoever asks is seen by the server under some address. */
export interface Ends {
  readonly asker: Netns
  readonly server: Netns
}

/** As whom a server sees the asker, for each of its addresses that is asked; undefined where no answer comes. */
export function seenAs(
  world: World,
  { asker, server }: Ends,
  addresses: readonly string[]
): readonly (string | undefined)[] {
  const running = Server.start(world, server, 'tcp', SEEN_PORT)
  try {
    return asker.inside(() => addresses.map(address => ask('tcp', address, SEEN_PORT)))
  } finally {
    running.stop()
  }
}

/** The same where no answer is hoped for: a second has to do. */
export function askOnce(transport: Transport, host: string, port: number): string | undefined {
  return askFor(DOUBT_MS, transport, host, port)
}

function askFor(milliseconds: number, transport: Transport, host: string, port: number): string | undefined {
  const wait = milliseconds * Math.min(PATIENCE, 3)
  const [command, ...args] = selfCommand(['--probe', 'client', transport, host, String(port), String(wait)])
  const child = spawnSync(command, args, { encoding: 'utf8', timeout: wait + START_MS })
  return child.status === 0 ? child.stdout.trim() : undefined
}

/** The process's own side: `server TRANSPORT PORT READYFILE`, `client TRANSPORT HOST PORT MILLISECONDS` or `forge READYFILE`. */
export function probeMain(args: readonly string[]): void {
  const [role = '', transport = '', first = '', second = '', third = ''] = args
  if (role === 'server') serve(transport, Number(first), second)
  else if (role === 'forge') forgeNetlink(() => writeFileSync(transport, ''))
  else connect(transport, first, Number(second), Number(third))
}

/** Without the IPv6 clothes of an IPv4 address. */
function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '')
}

function serve(transport: string, port: number, ready: string): void {
  if (transport === 'tcp') {
    createServer(socket => {
      socket.on('error', () => undefined)
      socket.end(plain(socket.remoteAddress))
    }).listen(port, '::', () => writeFileSync(ready, ''))
    return
  }
  const socket = createSocket({ type: 'udp6', ipv6Only: false })
  socket.on('message', (_message, from) => socket.send(plain(from.address), from.port, from.address))
  socket.bind(port, '::', () => writeFileSync(ready, ''))
}

/** A datagram may be lost: it is sent again until there is an answer. */
const AGAIN_MS = 500

function connect(transport: string, host: string, port: number, milliseconds: number): void {
  setTimeout(() => process.exit(1), milliseconds)
  const done = (text: string) => {
    process.stdout.write(text)
    process.exit(0)
  }
  if (transport === 'tcp') {
    const socket = createConnection({ host, port })
    socket.on('data', data => done(data.toString()))
    socket.on('error', () => process.exit(1))
    return
  }
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', message => done(message.toString()))
  socket.on('error', () => process.exit(1))
  const send = () => socket.send('hello', port, host)
  send()
  setInterval(send, AGAIN_MS)
}
