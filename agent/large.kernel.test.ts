/** A large network: what an ADD or DEL costs does not grow with it. */
// needs: bridge ping etcd etcdctl
// time-out: 300 s

import { join } from 'node:path'
import { until } from '../lib/testing/lab-agent.ts'
import { type Box, inSite, type OverlaySite, ROOT, reached } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { NO_ACCESS } from './etcd/access.ts'
import { endpointKey } from './registry.ts'

const test = suite('agent, in a large network')

/** Of hosts that exist in etcd only; PATCHBAY_LARGE_HOSTS=1000 measures, with PATCHBAY_LARGE_AGENTS=6 six real ones beside them. */
const HOSTS = Number(process.env['PATCHBAY_LARGE_HOSTS'] ?? '50')
const AGENTS = Number(process.env['PATCHBAY_LARGE_AGENTS'] ?? '2')
const EACH = 20

/** Writes what stands on standard input into etcd, 100 keys at a time. */
const WRITER = `
import { readFileSync } from 'node:fs'
import { Etcd, put } from '${join(ROOT, 'agent/etcd/etcd.ts')}'
const etcd = new Etcd({ endpoints: [process.argv[1]], access: ${JSON.stringify(NO_ACCESS)}, count: () => undefined })
const all = JSON.parse(readFileSync(0, 'utf8'))
for (let i = 0; i < all.length; i += 100)
  await etcd.txn([], all.slice(i, i + 100).map(([key, value]) => put(key, value, 0n)), [], 60_000)
process.exit(0)
`

function endpoints(): readonly (readonly [string, string])[] {
  return Array.from({ length: HOSTS * EACH }, (_, i) => {
    const [host, n] = [Math.floor(i / EACH), i % EACH]
    const hex = (value: number): string => value.toString(16).padStart(2, '0')
    const mac = `02:01:${hex(host >> 8)}:${hex(host & 255)}:00:${hex(n)}`
    const ips = [
      `10.42.${200 + (host >> 6)}.${(host & 63) * 4 + (n % 4)}`,
      `fd42::1:${host.toString(16)}:${n.toString(16)}`
    ]
    const names = { network: 'net1', containerId: `c${i}`, ifName: 'eth0' }
    const value = JSON.stringify({ mac, ips, vtep: `198.18.${host >> 8}.${host & 255}` })
    return [`/patchbay/${endpointKey(42, `host-${host}`, names)}`, value]
  })
}

function populate(site: OverlaySite): void {
  const [member] = site.etcd.members
  const args = ['--no-warnings', '--input-type=module-typescript', '-e', WRITER, `http://${member?.address}:2379`]
  const outcome = member?.namespace.run(process.execPath, args, { input: JSON.stringify(endpoints()) })
  assert.is(outcome?.status, 0, outcome?.stderr)
}

test('hosts that begin at once, and attach and detach at once, all succeed', async () => {
  await inSite({ members: 1, hosts: AGENTS, agent: { compareSeconds: 3600 } }, async site => {
    populate(site)
    const hosts = site.lab.hosts.map(({ number }) => number)
    const onEach = <T>(what: string, work: (host: number) => Promise<T>): Promise<readonly T[]> =>
      Promise.all(hosts.map(host => timed(`${what} on host ${host} of ${AGENTS} at once`, () => work(host))))
    const first = await onEach('the first ADD', host => site.add(host, `first${host}`))
    const entries = (host: number): number => (site.fdb(host).match(/^02:01:/gm) ?? []).length
    await until('everything is in all kernels', () => hosts.every(host => entries(host) >= HOSTS * EACH))
    for (let i = 0; i < 3; i += 1) {
      const boxes = await onEach('ADD', host => site.add(host, `c${host}-${i}`))
      for (const reply of await onEach('DEL', host => site.call('DEL', host, boxes[host]?.id ?? '')))
        assert.is(reply.stdout, '')
    }
    const [one, other] = [first[0], first[AGENTS - 1]]
    if (one === undefined || other === undefined) throw new Error('there are no hosts')
    await reached(one, other.ips[0] ?? '')
  })
})

test('the first ADD reads the network, later ones and DELs write what is theirs, and compare nothing', async () => {
  await inSite({ members: 1, hosts: 2, agent: { compareSeconds: 3600 } }, async site => {
    populate(site)
    const metric = (name: string): Promise<number> => site.agent(0).metric(`patchbay_agent_${name}_total`)
    const first = await timed('the first ADD', () => site.add(0, 'first'))
    await until('everything is in the kernel', () => (site.fdb(0).match(/^02:01:/gm) ?? []).length >= HOSTS * EACH)
    const [writes, comparisons] = [await metric('kernel_writes'), await metric('comparisons')]
    const boxes: Box[] = []
    for (let i = 0; i < 3; i += 1) boxes.push(await timed('ADD', () => site.add(0, `c${i}`)))
    const other = await site.add(1, 'other')
    await reached(first, other.ips[0] ?? '')
    for (const { id } of boxes) assert.is((await timed('DEL', () => site.call('DEL', 0, id))).stdout, '')
    await until('they are gone', () => !boxes.some(box => site.neighbours(0).includes(box.ips[0] ?? 'none')))
    assert.is(await metric('comparisons'), comparisons)
    // Neighbour entries of each, and of the other host and its container forwarding entries.
    const more = (await metric('kernel_writes')) - writes
    assert.ok(more <= 20, `${more} entries written`)
  })
})

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const outcome = await work()
  process.stdout.write(
    `${what} with ${HOSTS * EACH} endpoints elsewhere: ${(performance.now() - began).toFixed(0)} ms\n`
  )
  return outcome
}

test.run()
