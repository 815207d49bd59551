/**
 * `npm run bench:services`: what services cost. Clients and members are network namespaces of this process.
 *
 *     evenness     10,000 connections of one client over 5 members
 *     traffic      a service against a member's own address, in turns: connecting, a byte there and back, one stream; and as the
 *                  floor an address that one rule of nft translates. Each from a namespace of its own: with one connection table
 *                  for both, a port that has been used to the member itself is taken to its service, and is translated, too
 *     scale        1,000 services of 10 members: a client that joins, one member that comes and goes, reading what is counted, memory
 *
 * With `-- --only scale` one of them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { balancedAt, clientTable } from '../agent/services/client-rules.ts'
import type { Balanced } from '../agent/services/layout.ts'
import { type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { parsePrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { inNamespace } from '../lib/sys/netns.ts'
import { becomeHost, makeNamespace, type Namespace, run } from './demo/world.ts'

const TRAFFIC = fileURLToPath(new URL('./bench/services-traffic.ts', import.meta.url))
const PARTS = ['evenness', 'traffic', 'scale'] as const
type Part = (typeof PARTS)[number]
const VIP = '10.4.0.100'
const CONNECTIONS = 10_000
const MEMBERS = 5
const MEMBER = '10.4.0.3'
/** Of the chi-square distribution with 4 degrees of freedom, above which one of twenty fair samples lies. */
const CHI_SQUARE_BOUND = 9.488
const ROUNDS = 25
const SERVICES = 1000
const MEMBERS_EACH = 10
const CLIENTS = 20

const kernel = new LinuxKernel()

function main(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('npm run bench:services needs root, because it makes network namespaces')
  const parts = chosen(process.argv.slice(2))
  becomeHost()
  const center = kernel.host()
  const bridge = center.links.add({ name: 'switch', kind: { kind: 'bridge' }, up: true })
  const client = plug(bridge.index, 2)
  const members = Array.from({ length: MEMBERS }, (_, i) => plug(bridge.index, i + 3))
  const [other, neighbour] = [plug(bridge.index, MEMBERS + 3), plug(bridge.index, MEMBERS + 4)]
  center.close()
  return measure(parts, { client, neighbour, other, members })
}

/** @throws {Error} for a part that there is none of */
function chosen(argv: readonly string[]): readonly Part[] {
  const { only } = parseArgs({ args: [...argv], options: { only: { type: 'string' } } }).values
  const parts = PARTS.filter(part => only === undefined || only === part)
  if (parts.length === 0) throw new Error(`read --only: ${JSON.stringify(only)} is none of ${PARTS.join(', ')}`)
  return parts
}

/** `neighbour` has the service, too, and asks the member itself; `other` reaches it by one rule of nft. */
interface Machines {
  readonly client: Namespace
  readonly neighbour: Namespace
  readonly other: Namespace
  readonly members: readonly Namespace[]
}

function plug(bridgeIndex: number, number: number): Namespace {
  const namespace = makeNamespace()
  const center = kernel.host()
  const net = kernel.open(namespace.path)
  center.links.add({
    name: `port${number}`,
    kind: { kind: 'veth', peer: { name: 'eth0', netns: net } },
    masterIndex: bridgeIndex,
    up: true
  })
  for (const link of ['lo', 'eth0']) net.links.set(net.links.get(link).index, { up: true })
  const prefix = parsePrefix(`10.4.0.${number}/24`)
  if (prefix !== undefined) net.addresses.ensure(net.links.get('eth0').index, [{ prefix }])
  net.close()
  center.close()
  return namespace
}

async function measure(parts: readonly Part[], machines: Machines): Promise<void> {
  const { client, neighbour, members } = machines
  const servers = await Promise.all(members.map((one, i) => serve(one, `member${i}`)))
  const tables = [client, neighbour].map(one => clientTable(kernel.nft(kernel.open(one.path)), 4, 0))
  const apply = (wanted: readonly Balanced[]): void => {
    for (const table of tables) table.apply(wanted)
  }
  try {
    const addresses = members.map((_, i) => address(`10.4.0.${i + 3}`))
    apply([balancedAt('web', address(VIP), addresses, false)])
    if (parts.includes('evenness')) evenness(client)
    apply([balancedAt('web', address(VIP), addresses.slice(0, 1), false)])
    if (parts.includes('traffic')) traffic(machines)
    apply([])
    if (parts.includes('scale')) scale()
  } finally {
    for (const server of servers) server.kill('SIGKILL')
  }
}

function serve(namespace: Namespace, name: string): Promise<ChildProcess> {
  const child = inNamespace(namespace.fd, () =>
    spawn(process.execPath, ['--no-warnings', TRAFFIC, 'serve', name], { stdio: ['ignore', 'pipe', 'inherit'] })
  )
  return new Promise(resolve => child.stdout.once('data', () => resolve(child)))
}

function ask<T>(client: Namespace, what: string, where: string, number: number): T {
  const answer = inNamespace(client.fd, () =>
    run(process.execPath, ['--no-warnings', TRAFFIC, what, where, String(number)])
  )
  if (answer.status !== 0) throw new Error(`${what} ${where}: ${answer.stderr}`)
  return JSON.parse(answer.stdout)
}

function evenness(client: Namespace): void {
  const counts = Object.values(ask<Readonly<Record<string, number>>>(client, 'count', VIP, CONNECTIONS))
  const expected = CONNECTIONS / MEMBERS
  const chiSquare = counts.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0)
  const worst = Math.max(...counts.map(one => Math.abs(one / expected - 1)))
  say(`evenness   ${CONNECTIONS} connections over ${MEMBERS} members: ${counts.join(', ')}`)
  say(
    `           worst ${percent(worst)}, chi-square ${chiSquare.toFixed(2)} (95 % of fair ones below ${CHI_SQUARE_BOUND})`
  )
}

/** In turns, so that whatever else the machine does meets all. */
function traffic({ client, neighbour, other }: Machines): void {
  translateByOneRule(other)
  const measures: readonly (readonly [string, (from: Namespace, to: string) => number, string])[] = [
    ['connect', (from, to) => median(ask(from, 'connects', to, 1000)), 'ms'],
    ['a byte there and back', (from, to) => median(ask(from, 'rounds', to, 5000)), 'ms'],
    ['one stream', (from, to) => ask<number>(from, 'send', to, 1000) / 1e9, 'Gbit/s']
  ]
  const ways = [
    { name: 'direct', from: neighbour, to: MEMBER, seen: [] as number[] },
    { name: 'one rule', from: other, to: VIP, seen: [] as number[] },
    { name: 'service', from: client, to: VIP, seen: [] as number[] }
  ]
  for (const [name, one, unit] of measures) {
    for (const way of ways) way.seen = []
    for (let round = 0; round < ROUNDS; round += 1) {
      // Who goes first changes.
      for (const way of round % 2 === 0 ? ways : ways.toReversed()) way.seen.push(one(way.from, way.to))
    }
    const direct = median(ways[0]?.seen ?? [])
    const texts = ways.map(way => {
      const middle = median(way.seen)
      return `${way.name} ${middle.toPrecision(4)} ${unit} (${(middle / direct).toFixed(3)})`
    })
    say(`${name.padEnd(23)} ${texts.join(', ')}`)
  }
}

/** The least that translates: an address, and nothing else. */
function translateByOneRule(where: Namespace): void {
  const rules = `table ip floor {
    chain out {
      type nat hook output priority -100
      ip daddr ${VIP} dnat to ${MEMBER}
    }
  }`
  const made = inNamespace(where.fd, () => run('nft', [rules]))
  if (made.status !== 0) throw new Error(`nft: ${made.stderr}`)
}

function scale(): void {
  const services = Array.from({ length: SERVICES }, (_, i) => many(i, MEMBERS_EACH))
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const net = kernel.open(makeNamespace().path)
    const nft = kernel.nft(net)
    return { net, nft, table: clientTable(nft, 4, i) }
  })
  const empty = kernelBytes()
  const joins = clients.map(({ table }) => timed(() => table.apply(services)))
  const used = (kernelBytes() - empty) / CLIENTS
  const less = services.map((one, i) => (i === 500 ? many(500, MEMBERS_EACH - 1) : one))
  const changes = clients.flatMap(({ table }) => [timed(() => table.apply(less)), timed(() => table.apply(services))])
  say(`scale      ${SERVICES} services of ${MEMBERS_EACH} members, ${CLIENTS} clients; processor time`)
  say(`           a client that joins: ${median(joins).toFixed(0)} ms`)
  say(`           one member that comes or goes, in one client: ${median(changes).toFixed(1)} ms`)
  const readings = clients.map(({ table }) => timed(() => table.traffic()))
  say(`           reading what has been counted, in one client: ${median(readings).toFixed(1)} ms`)
  say(`           kernel memory of one client: ${(used / 1e6).toFixed(1)} MB`)
  say(`           memory of this process: ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`)
  for (const { nft, net } of clients) {
    nft.close()
    net.close()
  }
}

function many(index: number, members: number): Balanced {
  const at = (third: number, last: number): IpAddress => address(`10.${third}.${index >> 8}.${last}`)
  const vip = address(`10.200.${index >> 8}.${index & 255}`)
  return balancedAt(
    `service${index}`,
    vip,
    Array.from({ length: members }, (_, i) => at(i + 1, index & 255)),
    false
  )
}

/** Processor time, ms: others may be using the machine. */
function timed(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** What the kernel has allocated for objects of its own. */
function kernelBytes(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const lines = [...text.matchAll(/^(?:SUnreclaim|Percpu|VmallocUsed):\s+(\d+)/gm)]
  return lines.reduce((sum, match) => sum + Number(match[1]) * 1024, 0)
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN
}

function percent(value: number): string {
  return `${(100 * value).toFixed(2)} %`
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

await main()
