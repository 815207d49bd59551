/** What podman has written down, and runtimes that cannot be asked. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type Found, findInRuntimes } from './find.ts'

const test = suite('cli/runtimes/find')

const WEB = 'a1'.repeat(32)
const DB = 'b2'.repeat(32)
/** A process id that no process has: above the kernel's largest (PID_MAX_LIMIT, 2^22). */
const NOBODY = 4_194_305

const NO_CONTAINERD = '/nonexistent/containerd.sock'

interface Written {
  readonly id: string
  readonly names: readonly string[]
  readonly pid: number
  /** Seconds before now at which the file was written. */
  readonly age?: number
}

/** Asks with podman's files holding these, and without containerd. */
async function withPodman(all: readonly Written[], word: string): Promise<Found> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-podman-'))
  try {
    const containers = join(directory, 'graph', 'overlay-containers')
    mkdirSync(containers, { recursive: true })
    writeFileSync(join(containers, 'containers.json'), JSON.stringify(all.map(({ id, names }) => ({ id, names }))))
    for (const { id, pid, age } of all) {
      const userdata = join(directory, 'run', 'overlay-containers', id, 'userdata')
      mkdirSync(userdata, { recursive: true })
      writeFileSync(join(userdata, 'pidfile'), String(pid))
      const then = Date.now() / 1000 - (age ?? 0)
      utimesSync(join(userdata, 'pidfile'), then, then)
    }
    writeFileSync(
      join(directory, 'storage.conf'),
      `[storage]\ndriver = "overlay"\ngraphroot = "${directory}/graph"\nrunroot = "${directory}/run"\n`
    )
    return await findInRuntimes(word, {
      CONTAINERD_ADDRESS: NO_CONTAINERD,
      CONTAINER_HOST: 'unix:///nonexistent/podman.sock',
      CONTAINERS_STORAGE_CONF: join(directory, 'storage.conf')
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const RUNNING: readonly Written[] = [
  { id: WEB, names: ['web'], pid: process.pid },
  { id: DB, names: ['webdb'], pid: process.pid }
]

test('podman without a service: by name, id, and the beginning of one', async () => {
  const shown = async (word: string): Promise<readonly string[]> =>
    (await withPodman(RUNNING, word)).containers.map(one => one.shown)
  assert.equal(await shown('web'), ['podman web'], 'a whole name comes before the beginning of another')
  assert.equal(await shown('we'), ['podman web', 'podman webdb'])
  assert.equal(await shown('b2b2'), ['podman webdb'])
  assert.equal(await shown('eb'), [])
  assert.equal(await shown('../web'), [])
  const [web] = (await withPodman(RUNNING, 'web')).containers
  assert.equal(web, {
    runtime: 'podman',
    id: WEB,
    names: ['web'],
    name: 'web',
    shown: 'podman web',
    containerId: WEB,
    netns: `/proc/${String(process.pid)}/ns/net`
  })
})

test('a process that has ended, and another one under its number, is no container', async () => {
  const ended = [{ id: WEB, names: ['web'], pid: NOBODY }]
  assert.equal((await withPodman(ended, 'web')).containers, [])
  const reused = [{ id: WEB, names: ['web'], pid: process.pid, age: 1_000_000 }]
  assert.equal((await withPodman(reused, 'web')).containers, [])
})

/** A service that answers so. */
async function withService(status: number, body: string, work: (socket: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-podman-'))
  const socket = join(directory, 'podman.sock')
  const server: Server = createServer((_request, response) => response.writeHead(status).end(body))
  await new Promise<void>(resolve => {
    server.listen(socket, resolve)
  })
  try {
    await work(socket)
  } finally {
    server.close()
    rmSync(directory, { recursive: true })
  }
}

test('a runtime that cannot be asked is named, with its socket and why', async () => {
  await withService(500, '{}', async socket => {
    const { problems } = await findInRuntimes('web', {
      CONTAINERD_ADDRESS: NO_CONTAINERD,
      CONTAINER_HOST: `unix://${socket}`
    })
    assert.equal(problems, [`ask containerd at "${NO_CONTAINERD}": ENOENT`, `ask podman at "${socket}": status 500`])
  })
  const nonsense = '{"Id": 7}'
  await withService(200, nonsense, async socket => {
    const { containers, problems } = await findInRuntimes('web', {
      CONTAINERD_ADDRESS: NO_CONTAINERD,
      CONTAINER_HOST: `unix://${socket}`
    })
    assert.equal(containers, [])
    assert.match(problems[1] ?? '', /what it says is not understood$/)
  })
})

test.run()
