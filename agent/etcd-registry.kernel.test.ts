/** The registry on a real etcd, driven as the agent drives it, at moments that nobody outside can choose. */
// needs: etcd etcdctl
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
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

function registryOf(url: string, own: OwnRecords): EtcdRegistry {
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
    log: () => undefined
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
