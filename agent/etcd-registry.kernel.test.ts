/** The registry on a real etcd, driven as the agent drives it, at moments that nobody outside can choose. */
// needs: etcd etcdctl
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../lib/testing/lab-agent.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import type { AddressOwner } from './endpoint.ts'
import { NO_ACCESS } from './etcd/access.ts'
import { EtcdRegistry } from './etcd-registry.ts'
import type { OwnRecords } from './registry.ts'

const test = suite('agent/etcd-registry')

const OWNER: AddressOwner = { host: 'h1', network: 'blue', containerId: 'c1', ifName: 'eth0' }
/** They are claimed one after the other: the last one's turn comes when what was to be forgotten at first is long done. */
const ADDRESSES = Array.from({ length: 50 }, (_, i) => `addresses/pool/10.88.0.${i + 2}`)
const LAST = ADDRESSES.at(-1) ?? ''

test('a container that goes while its records are being put right is not written afterwards', async () => {
  await withEtcd(async url => {
    let registry: EtcdRegistry | undefined
    const own: OwnRecords = {
      values: () => new Map(),
      claims: () => {
        // DEL comes when the list of what this host has is made and nothing of it is written yet.
        registry?.forget([LAST])
        return new Map(ADDRESSES.map(key => [key, OWNER]))
      },
      onConflict: key => {
        throw new Error(`conflict: ${key}`)
      }
    }
    registry = registryOf(url, own)
    registry.start()
    try {
      await registry.whenReady(30_000)
    } finally {
      await registry.stop()
    }
    const expected = ADDRESSES.filter(key => key !== LAST).map(key => `/patchbay/${key}`)
    assert.equal(keysOf(url, '/patchbay/addresses/'), expected.sort())
  })
})

test('a registry of a newer form is refused with words, and nothing is written into it', async () => {
  await withEtcd(async url => {
    const own: OwnRecords = { values: () => new Map(), claims: () => new Map(), onConflict: () => undefined }
    const first = registryOf(url, own)
    first.start()
    try {
      await first.whenReady(30_000)
    } finally {
      await first.stop()
    }
    assert.equal(etcdctl(url, 'get', '--print-value-only', '/patchbay/format').trim(), '1')
    etcdctl(url, 'del', '--prefix', '/patchbay/hosts/')
    etcdctl(url, 'put', '/patchbay/format', '2')
    const second = registryOf(url, own)
    second.start()
    try {
      await until('it says so', () => second.trouble() !== '' && second.trouble().includes('format'))
      assert.match(second.trouble(), /read the registry: it is of format 2, and this version of Patchbay knows 1/)
    } finally {
      await second.stop()
    }
    assert.equal(keysOf(url, '/patchbay/'), ['/patchbay/format'])
  })
})

test('a connection whose watches have ended is none, whatever its other calls find by the next one', async () => {
  await withEtcd(async url => {
    const own: OwnRecords = { values: () => new Map(), claims: () => new Map(), onConflict: () => undefined }
    const lines: string[] = []
    const heard: string[] = []
    const proxy = await closingFirst(Number(new URL(url).port))
    const { port } = proxy.address() as AddressInfo
    const registry = registryOf(`http://127.0.0.1:${port}`, own, line => lines.push(line))
    registry.follow('services/', {
      reset: entries => heard.push(...entries.map(one => one.name)),
      change: name => heard.push(name),
      settled: () => undefined
    })
    registry.start()
    try {
      await registry.whenReady(30_000)
      etcdctl(url, 'put', '/patchbay/services/web', '{}')
      await until('it is heard of', () => heard.includes('web'))
      const since = lines.findIndex(line => line.includes('connected to'))
      assert.is(lines.length, since + 1, lines.join('\n'))
    } finally {
      await registry.stop()
      proxy.close()
    }
  })
})

/** In front of etcd; the first connection ends with the first that is said on it. */
async function closingFirst(target: number): Promise<Server> {
  let isFirst = true
  const proxy = createServer(socket => {
    socket.on('error', () => undefined)
    if (isFirst) {
      isFirst = false
      socket.once('data', () => socket.destroy())
      return
    }
    const other = connect(target, '127.0.0.1')
    other.on('error', () => undefined)
    socket.pipe(other).pipe(socket)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return proxy
}

function registryOf(url: string, own: OwnRecords, log: (line: string) => void = () => undefined): EtcdRegistry {
  return new EtcdRegistry({
    endpoints: [url],
    access: NO_ACCESS,
    count: () => undefined,
    prefix: '/patchbay',
    host: 'h1',
    machine: 'm1',
    presenceSeconds: 30,
    recordsSeconds: 60,
    leases: { read: () => undefined, write: () => undefined },
    own,
    log
  })
}

function etcdctl(url: string, ...args: readonly string[]): string {
  return execFileSync('etcdctl', [`--endpoints=${url}`, ...args], {
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...process.env, ETCDCTL_API: '3' }
  })
}

function keysOf(url: string, prefix: string): readonly string[] {
  return etcdctl(url, 'get', '--prefix', '--keys-only', prefix)
    .split('\n')
    .filter(line => line !== '')
    .sort()
}

/** A member of its own on loopback. */
async function withEtcd(body: (url: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-etcd-'))
  const [client, peer] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${client}`
  const etcd = spawn(
    'etcd',
    [
      ...['--data-dir', join(directory, 'data'), '--log-level', 'error', '--unsafe-no-fsync'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', `http://127.0.0.1:${peer}`]
    ],
    { stdio: 'ignore' }
  )
  const gone = once(etcd, 'exit')
  try {
    await until('etcd answers', () => {
      try {
        return etcdctl(url, 'endpoint', 'health') !== undefined
      } catch {
        return false
      }
    })
    await body(url)
  } finally {
    etcd.kill('SIGKILL')
    await gone
    rmSync(directory, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test.run()
