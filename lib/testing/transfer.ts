/** How long a TCP transfer between two namespaces takes: what limits of bandwidth come to. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Namespace, NSENTER } from './namespace.ts'

const RECEIVER = `
const server = require('node:net').createServer(socket => {
  let first = 0
  let count = 0
  socket.on('data', chunk => {
    if (count === 0) first = performance.now()
    count += chunk.length
  })
  socket.on('end', () => {
    console.log(JSON.stringify({ count, seconds: (performance.now() - first) / 1000 }))
    process.exit(0)
  })
})
server.listen(0, process.argv[1], () => console.log(server.address().port))
`

const SENDER = `
const [host, port, count] = process.argv.slice(1)
const socket = require('node:net').connect(Number(port), host, () => socket.end(Buffer.alloc(Number(count))))
`

/**
 * Sends bytes from one namespace to an address of the other.
 *
 * @returns the seconds from the first byte's arrival to the last one's
 */
export async function transferSeconds(from: Namespace, to: Namespace, address: string, bytes: number): Promise<number> {
  const receiver = start(to, RECEIVER, [address])
  let sender: ChildProcess | undefined
  try {
    const output = receiver.stdout
    if (output === null) throw new Error('start the receiver: it has no output')
    const lines = createInterface(output)[Symbol.asyncIterator]()
    const port = String((await lines.next()).value)
    sender = start(from, SENDER, [address, port, String(bytes)])
    const received = JSON.parse(String((await lines.next()).value))
    if (received.count !== bytes) throw new Error(`${String(received.count)} of ${String(bytes)} bytes arrived`)
    if (receiver.exitCode === null) await once(receiver, 'exit')
    return received.seconds
  } finally {
    receiver.kill()
    sender?.kill()
  }
}

function start(namespace: Namespace, script: string, args: readonly string[]): ChildProcess {
  const node = [`--net=${namespace.path}`, process.execPath, '--no-warnings', '-e', script, ...args]
  return spawn(NSENTER, node, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 })
}
