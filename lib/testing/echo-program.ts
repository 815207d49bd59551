/** The program inside the namespaces for echo.ts: `serve NAME READY-FILE PLACE...` or `ask 'MILLISECONDS PLACE'...`. */
import { createSocket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const DATAGRAM_AGAIN_MS = 500

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

function askOne(question: string): Promise<string> {
  const [milliseconds = '', protocol = '', host = '', port = '', localAddress] = question.split(' ')
  return new Promise(resolve => {
    let again: NodeJS.Timeout | undefined
    const finish = (answer: string): void => {
      clearTimeout(timer)
      clearInterval(again)
      resolve(answer)
    }
    const timer = setTimeout(finish, Number(milliseconds), '')
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
    const answers = await Promise.all(rest.map(question => askOne(question)))
    process.stdout.write(answers.map(answer => `${answer}\n`).join(''), () => process.exit(0))
  }
}

await main(process.argv.slice(2))
