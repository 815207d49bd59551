/**
 * The programs of the demo of services, each in a container.
 *
 *     node story.ts db NAME              answers on port 5432 with its name
 *     node story.ts web NAME             answers on port 80: asks the service db, and says who has answered
 *     node story.ts visit ADDRESS PORT N connects N times, one after the other; prints each answer
 *     node story.ts load ADDRESS PORT    connects without end until its input ends; prints how often it was answered
 */
import { Resolver } from 'node:dns/promises'
import { connect, createServer } from 'node:net'

const DB_PORT = 5432
const WEB_PORT = 80
const PATIENCE_MS = 5000
const AT_A_TIME = 4

const resolver = new Resolver()
resolver.setServers(['127.0.0.11'])

function serve(port: number, answer: () => Promise<string>): void {
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    answer().then(
      text => socket.end(text),
      (error: Error) => socket.end(error.message)
    )
  })
  server.listen(port, '::', () => process.stdout.write('ready\n'))
}

async function askDatabase(): Promise<string> {
  const [address = ''] = await resolver.resolve4('db')
  return answerFrom(address, DB_PORT)
}

function answerFrom(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host, port })
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`nothing within ${PATIENCE_MS / 1000} s`)))
    socket.on('data', bytes => {
      text += bytes.toString()
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

async function visit(host: string, port: number, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) process.stdout.write(`${await answerFrom(host, port)}\n`)
}

async function load(host: string, port: number): Promise<void> {
  let goes = true
  let answered = 0
  let ended = 0
  const failures: string[] = []
  process.stdin
    .on('end', () => {
      goes = false
    })
    .resume()
  const work = async (): Promise<void> => {
    while (goes) {
      await answerFrom(host, port).then(
        () => {
          answered += 1
        },
        (error: NodeJS.ErrnoException) => {
          // It was open with a member that went.
          if (error.code === 'ECONNABORTED') ended += 1
          else failures.push(error.message)
        }
      )
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
  process.stdout.write(JSON.stringify({ answered, ended, failures }))
}

const [what, first = '', second = '', third = ''] = process.argv.slice(2)
if (what === 'db') serve(DB_PORT, async () => first)
else if (what === 'web') serve(WEB_PORT, async () => `${first} with ${await askDatabase()}`)
else if (what === 'visit') await visit(first, Number(second), Number(third))
else await load(first, Number(second))
