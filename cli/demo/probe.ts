/**
 * The smallest proof that two namespaces reach each other: a TCP server that tells every client by which address it
 * sees it, and the client that asks.
 *
 *     node probe.ts serve PORT
 *     node probe.ts connect ADDRESS PORT
 */
import { connect, createServer } from 'node:net'

const PATIENCE_MS = 2000

function serve(port: number): void {
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.end((socket.remoteAddress ?? '').replace(/^::ffff:/, ''))
  })
  server.listen(port, '::', () => process.stdout.write('ready\n'))
}

function ask(address: string, port: number): void {
  const started = performance.now()
  const socket = connect({ host: address, port })
  let seenAs = ''
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`nothing within ${PATIENCE_MS / 1000} s`)))
  socket.on('data', bytes => {
    seenAs += bytes.toString()
  })
  socket.on('end', () => process.stdout.write(JSON.stringify({ seenAs, milliseconds: performance.now() - started })))
  socket.on('error', error => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}

const [what, ...rest] = process.argv.slice(2)
if (what === 'serve') serve(Number(rest[0]))
else ask(rest[0] ?? '', Number(rest[1]))
