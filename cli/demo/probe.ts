/**
 * The smallest proof that two namespaces reach each other: a TCP server that tells every client by which address it
 * sees it, and the client that asks.
 *
 *     node --eval PROBE -- serve PORT
 *     node --eval PROBE -- connect ADDRESS PORT
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

/** Each way there and back again: the first one's time is that of a program that has just been started. */
const ROUNDS = 21

async function ask(address: string, port: number): Promise<void> {
  const times: number[] = []
  let seenAs = ''
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now()
    seenAs = await answer(address, port)
    if (round > 0) times.push(performance.now() - started)
  }
  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
  process.stdout.write(JSON.stringify({ seenAs, milliseconds: median }))
}

function answer(address: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    let text = ''
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`nothing within ${PATIENCE_MS / 1000} s`)))
    socket.on('data', bytes => {
      text += bytes.toString()
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

const [what, ...rest] = process.argv.slice(1)
if (what === 'serve') serve(Number(rest[0]))
else {
  await ask(rest[0] ?? '', Number(rest[1])).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}
