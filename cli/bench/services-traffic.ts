/**
 * Both ends of the measurements of services.
 *
 *     node services-traffic.ts serve NAME               port 80 says NAME and closes, 81 sends back, 82 swallows
 *     node services-traffic.ts count ADDRESS N          connects to port 80 N times; prints who answered how often
 *     node services-traffic.ts connects ADDRESS N       connects to port 81 N times; prints each time, ms
 *     node services-traffic.ts rounds ADDRESS N         N times a byte there and back on one connection; prints each time, ms
 *     node services-traffic.ts send ADDRESS MS          sends to port 82 as long; prints bits per second
 */
import { connect, createServer, type Socket } from 'node:net'

const CHUNK = Buffer.alloc(256 * 1024)

function serve(name: string): void {
  let open = 3
  const ready = (): void => {
    open -= 1
    if (open === 0) process.stdout.write('ready\n')
  }
  const quiet = (socket: Socket): Socket => socket.on('error', () => socket.destroy()).setNoDelay(true)
  createServer(socket => quiet(socket).end(name)).listen(80, '::', ready)
  createServer(socket => quiet(socket).pipe(socket)).listen(81, '::', ready)
  createServer(socket => quiet(socket).resume()).listen(82, '::', ready)
}

function opened(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.setNoDelay(true)
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

async function count(host: string, times: number): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < times; i += 1) {
    const socket = await opened(host, 80)
    const name = await new Promise<string>((resolve, reject) => {
      let text = ''
      socket.on('data', bytes => {
        text += String(bytes)
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(text))
    })
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

async function connects(host: string, times: number): Promise<readonly number[]> {
  const all: number[] = []
  for (let i = 0; i < times; i += 1) {
    const began = performance.now()
    const socket = await opened(host, 81)
    all.push(performance.now() - began)
    socket.resetAndDestroy()
  }
  return all
}

async function rounds(host: string, times: number): Promise<readonly number[]> {
  const socket = await opened(host, 81)
  const all: number[] = []
  for (let i = 0; i < times; i += 1) {
    const began = performance.now()
    await new Promise(resolve => {
      socket.once('data', resolve)
      socket.write('x')
    })
    all.push(performance.now() - began)
  }
  socket.destroy()
  return all
}

async function send(host: string, milliseconds: number): Promise<number> {
  const socket = await opened(host, 82)
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < milliseconds) {
    sent += CHUNK.length
    if (!socket.write(CHUNK)) await new Promise(resolve => socket.once('drain', resolve))
  }
  const seconds = (performance.now() - began) / 1000
  socket.destroy()
  return (8 * sent) / seconds
}

const [what = '', where = '', number = ''] = process.argv.slice(2)
if (what === 'serve') serve(where)
else {
  const measures = { count, connects, rounds, send }
  const measure = Object.entries(measures).find(([name]) => name === what)?.[1]
  if (measure === undefined) throw new Error(`no measurement ${JSON.stringify(what)}`)
  process.stdout.write(JSON.stringify(await measure(where, Number(number))))
}
