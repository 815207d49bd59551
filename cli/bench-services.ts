/**
 * `npm run bench:services`: what services cost. Clients and members are network namespaces of this process.
 *
 *     evenness     10,000 connections of one client over 5 members
 *     traffic      a service against a member's own address, in turns: connecting, a byte there and back, one stream
 *     scale        1,000 services of 10 members: a client that joins, one member that comes and goes, memory
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { balancedAt, clientTable } from '../agent/services/client-rules.ts'
import type { Balanced } from '../agent/services/layout.ts'
import { type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { parsePrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { inNamespace } from '../lib/sys/netns.ts'
import { becomeHost, makeNamespace, type Namespace, run } from './demo/world.ts'

const TRAFFIC = fileURLToPath(new URL('./bench/services-traffic.ts', import.meta.url))
const VIP = '10.4.0.100'
const CONNECTIONS = 10_000
const MEMBERS = 5
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
  becomeHost()
  const center = kernel.host()
  const bridge = center.links.add({ name: 'switch', kind: { kind: 'bridge' }, up: true })
  const client = plug(bridge.index, 2)
  const members = Array.from({ length: MEMBERS }, (_, i) => plug(bridge.index, i + 3))
  center.close()
  return measure(client, members)
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

async function measure(client: Namespace, members: readonly Namespace[]): Promise<void> {
  const servers = await Promise.all(members.map((one, i) => serve(one, `member${i}`)))
  const net = kernel.open(client.path)
  const nft = kernel.nft(net)
  const table = clientTable(nft, 4, 0)
  try {
    const addresses = members.map((_, i) => address(`10.4.0.${i + 3}`))
    table.apply([balancedAt('web', address(VIP), addresses, false)])
    evenness(client)
    table.apply([balancedAt('web', address(VIP), addresses.slice(0, 1), false)])
    traffic(client)
    table.apply([])
    scale()
  } finally {
    nft.close()
    net.close()
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

/** In turns, so that whatever else the machine does meets both. */
function traffic(client: Namespace): void {
  const measures: readonly (readonly [string, (where: string) => number, string])[] = [
    ['connect', where => median(ask(client, 'connects', where, 1000)), 'ms'],
    ['a byte there and back', where => median(ask(client, 'rounds', where, 5000)), 'ms'],
    ['one stream', where => ask<number>(client, 'send', where, 1000) / 1e9, 'Gbit/s']
  ]
  for (const [name, one, unit] of measures) {
    const service: number[] = []
    const direct: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      // Who goes first changes.
      for (const isService of round % 2 === 0 ? [true, false] : [false, true])
        (isService ? service : direct).push(one(isService ? VIP : '10.4.0.3'))
    }
    const [through, past] = [median(service), median(direct)]
    const ratio = through / past
    say(
      `${name.padEnd(23)} service ${through.toPrecision(4)} ${unit}, direct ${past.toPrecision(4)} ${unit}, ratio ${ratio.toFixed(3)}`
    )
  }
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
