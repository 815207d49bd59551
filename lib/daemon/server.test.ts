import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../testing/suite.ts'
import { drain, serveRequests } from './server.ts'

const test = suite('lib/daemon/server')

async function ask(path: string): Promise<Socket> {
  const socket = connect(path)
  await once(socket, 'connect')
  socket.write('{"do":"take"}\n')
  return socket
}

test('drain: what was asked is answered, and nobody is heard any more', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-server-'))
  try {
    const path = join(directory, 'sock')
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const asked = Promise.withResolvers<void>()
    const server = await serveRequests(path, {
      answer: () => {
        asked.resolve()
        return promise
      }
    })
    const socket = await ask(path)
    await asked.promise
    let isDrained = false
    const drained = drain(server).then(() => {
      isDrained = true
    })
    await assertRefused(path)
    assert.not.ok(isDrained, 'a call is not answered yet')
    resolve(undefined)
    const [answer] = await once(socket, 'data')
    assert.is(String(answer), '{"ok":true}\n')
    socket.end()
    await drained
  } finally {
    rmSync(directory, { recursive: true })
  }
})

async function assertRefused(path: string): Promise<void> {
  const refused = connect(path)
  const [error] = await once(refused, 'error')
  assert.match(String(error), /ENOENT|ECONNREFUSED/)
}

test.run()
