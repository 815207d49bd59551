/**
 * How the overlay's agent bears many hosts: the endpoints of many hosts in one etcd, one real agent on a host that takes
 * part in their network. Before that, with five hosts and their agents: how soon after its ADD a container is known.
 *
 *     npm run simulate:overlay -- 10 100 1000
 *
 * Hosts are network namespaces of this process; the other hosts exist in etcd only.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NO_ACCESS } from '../agent/etcd/access.ts'
import { Etcd, put, remove } from '../agent/etcd/etcd.ts'
import { endpointKey } from '../agent/registry.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { measureReach } from './demo/reach.ts'
import { CENTER, Site, type SiteHost } from './demo/site.ts'
import { pause, SiteAgent, until } from './demo/site-agent.ts'
import { BIN_DIR, PATCHBAY } from './demo/stage.ts'
import { makeNamespace } from './demo/world.ts'

const VNI = 42
const ENDPOINTS_PER_HOST = 20
const PREFIX = '/patchbay'
const OPERATIONS_PER_TXN = 100
const CALL_MS = 20_000

interface Row {
  readonly hosts: number
  readonly endpoints: number
  /** ms from the agent's start until everything is in the kernel */
  readonly converged: number
  /** entries in the kernel */
  readonly entries: number
  readonly startBytes: number
  /** MB resident after that */
  readonly memory: number
  /** of one more endpoint somewhere: bytes to this host, ms until its kernel has it */
  readonly joinBytes: number
  readonly joinMilliseconds: number
  /** ms of processor time for a comparison of everything, of which one is made every 15 s */
  readonly compareMilliseconds: number
  /** ms until a host with its endpoints is forgotten, once its lease has ended */
  readonly death: number
}

/** The endpoint `n` of a simulated host. */
function endpoint(host: number, n: number): { readonly key: string; readonly value: string; readonly mac: string } {
  const mac = formatMac(Uint8Array.of(2, 0, host >> 8, host & 255, 0, n))
  const ips = [`10.${64 + (host >> 8)}.${host & 255}.${n}`, `fd42::${host.toString(16)}:${n.toString(16)}`]
  const vtep = `198.18.${host >> 8}.${host & 255}`
  const names = { network: 'blue', containerId: `${'0'.repeat(60)}${n}`, ifName: 'eth0' }
  const key = `${PREFIX}/${endpointKey(VNI, `host-${host}`, names)}`
  return { key, value: JSON.stringify({ mac, ips, vtep }), mac }
}

class Simulation {
  readonly #site: Site
  readonly #directory: string
  readonly #etcd: Etcd

  constructor(site: Site, directory: string) {
    this.#site = site
    this.#directory = directory
    const count = (): void => undefined
    this.#etcd = new Etcd({ endpoints: [`http://${CENTER}:2379`], access: NO_ACCESS, count })
  }

  async startEtcd(): Promise<void> {
    const url = `http://${CENTER}:2379`
    const peer = 'http://127.0.0.1:2380'
    const args = ['--data-dir', join(this.#directory, 'etcd'), '--log-level', 'error']
    args.push('--listen-client-urls', url, '--advertise-client-urls', url)
    args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`)
    this.#site.start(undefined, 'etcd', args, () => undefined)
    await this.#etcd.range(PREFIX, CALL_MS)
  }

  async measure(hosts: number): Promise<Row> {
    await this.#populate(hosts)
    const observer = this.#site.hosts[0]
    if (observer === undefined) throw new Error('there is no host')
    const directory = join(this.#directory, `run-${hosts}`)
    mkdirSync(directory, { recursive: true })
    this.#writeConfig(observer, directory)
    const agent = new SiteAgent(PATCHBAY, this.#site, observer, directory)
    await agent.whenUp()
    this.#attach(observer, directory)
    // With a container there it follows the network; measured is a cold start in that state.
    await agent.stop()
    this.#flush(observer)
    const started = performance.now()
    await agent.start()
    const endpoints = hosts * ENDPOINTS_PER_HOST
    await until(() => this.#count(observer) >= endpoints)
    const converged = performance.now() - started
    const entries = this.#entries(observer)
    await pause(1500)
    const before = await agent.metrics()
    const memory = (before.get('process_resident_memory_bytes') ?? 0) / 1e6
    const startBytes = before.get('patchbay_agent_registry_bytes_total{direction="received"}') ?? 0

    const extra = endpoint(hosts + 1, 1)
    const joined = performance.now()
    await this.#etcd.txn([], [put(extra.key, extra.value, 0n)], [], CALL_MS)
    await agent.until('patchbay_agent_kernel_writes_total', (before.get('patchbay_agent_kernel_writes_total') ?? 0) + 4)
    const joinMilliseconds = performance.now() - joined
    const after = await agent.metrics()
    const joinBytes = (after.get('patchbay_agent_registry_bytes_total{direction="received"}') ?? 0) - startBytes
    await this.#etcd.txn([], [remove(extra.key)], [], CALL_MS)

    await agent.until('patchbay_agent_kernel_removals_total', 1)
    const death = await this.#killHost(agent, hosts)
    const compareMilliseconds = await agent.compareCost()
    this.#detach(observer, directory)
    await agent.stop()
    return {
      hosts,
      endpoints,
      converged,
      entries,
      startBytes,
      memory,
      joinBytes,
      joinMilliseconds,
      compareMilliseconds,
      death
    }
  }

  async #populate(hosts: number): Promise<void> {
    await this.#etcd.txn([], [], [], CALL_MS)
    for (let host = 1; host <= hosts; host += 1) {
      const operations = Array.from({ length: ENDPOINTS_PER_HOST }, (_, n) => endpoint(host, n + 1))
      for (let i = 0; i < operations.length; i += OPERATIONS_PER_TXN) {
        const some = operations.slice(i, i + OPERATIONS_PER_TXN)
        await this.#etcd.txn(
          [],
          some.map(one => put(one.key, one.value, 0n)),
          [],
          CALL_MS
        )
      }
    }
  }

  /** All endpoints of one host at once, as the end of its lease removes them. */
  async #killHost(agent: SiteAgent, host: number): Promise<number> {
    const gone = Array.from({ length: ENDPOINTS_PER_HOST }, (_, n) => endpoint(host, n + 1))
    const removed = (await agent.metrics()).get('patchbay_agent_kernel_removals_total') ?? 0
    const removals = gone.map(one => remove(one.key))
    const started = performance.now()
    await this.#etcd.txn([], removals, [], CALL_MS)
    // Of each endpoint two forwarding entries and two neighbours, and the host itself.
    await agent.until('patchbay_agent_kernel_removals_total', removed + 4 * ENDPOINTS_PER_HOST + 1)
    const took = performance.now() - started
    await this.#etcd.txn(
      [],
      gone.map(one => put(one.key, one.value, 0n)),
      [],
      CALL_MS
    )
    return took
  }

  #writeConfig(host: SiteHost, directory: string): void {
    const etcd = { endpoints: [`http://${CENTER}:2379`], prefix: PREFIX }
    const socket = join(directory, 'agent.sock')
    const config = {
      host: host.name,
      socket,
      stateDir: join(directory, 'agent'),
      confDir: directory,
      http: `unix:${join(directory, 'http.sock')}`,
      etcd
    }
    writeFileSync(join(directory, 'agent.json'), JSON.stringify(config))
    const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges: [[{ subnet: '10.0.0.0/8' }]] }
    const plugin = {
      type: 'vxlan',
      vni: VNI,
      registry: { socket, timeout: 60 },
      stateDir: join(directory, 'state'),
      ipam
    }
    const network = { cniVersion: '1.0.0', name: 'blue', plugins: [plugin] }
    writeFileSync(join(directory, 'blue.conflist'), JSON.stringify(network))
  }

  #patchbay(host: SiteHost, directory: string, args: readonly string[]): void {
    const flags = ['--conf-dir', directory, '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
    const answer = this.#site.run(host, PATCHBAY, [...args, ...flags])
    if (answer.status !== 0) throw new Error(`patchbay ${args[0]}: ${answer.stderr}${answer.stdout}`)
  }

  #attach(host: SiteHost, directory: string): void {
    this.#patchbay(host, directory, ['attach', 'blue', makeNamespace().path, '--container-id', 'own'])
  }

  #detach(host: SiteHost, directory: string): void {
    this.#patchbay(host, directory, ['detach', 'blue', '', '--container-id', 'own'])
  }

  /** Takes out what an agent has written. */
  #flush(host: SiteHost): void {
    const net = this.#site.net(host)
    net.links.remove(`vx${VNI}`)
    net.close()
  }

  #count(host: SiteHost): number {
    const net = this.#site.net(host)
    try {
      const link = net.links.find(`vx${VNI}`)
      if (link === undefined) return 0
      return net.fdb.list(link.index).filter(entry => entry.self === true && entry.extLearn === true).length
    } finally {
      net.close()
    }
  }

  #entries(host: SiteHost): number {
    const net = this.#site.net(host)
    try {
      const fdb = net.fdb.list(net.links.get(`vx${VNI}`).index)
      return fdb.length + net.neighbours.list(net.links.get(`br-vx${VNI}`).index).length
    } finally {
      net.close()
    }
  }
}

/** How long after its ADD a new container is known on every host. */
async function tellReach(site: Site, directory: string): Promise<void> {
  const { adds, delays } = await measureReach(site, { directory, patchbay: PATCHBAY, binDir: BIN_DIR })
  const shown = (values: readonly number[]): string => {
    const sorted = [...values].sort((a, b) => a - b)
    return `median ${(sorted[sorted.length >> 1] ?? 0).toFixed(1)} ms, longest ${(sorted.at(-1) ?? 0).toFixed(1)} ms`
  }
  const what = `${site.hosts.length} hosts, ${delays.length} new containers: known to all other hosts' kernels`
  process.stdout.write(`${what} after the return of ADD: ${shown(delays)} (ADD itself: ${shown(adds)})\n\n`)
}

async function main(args: readonly string[]): Promise<void> {
  const sizes = args.length > 0 ? args.map(Number) : [10, 100, 1000]
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-simulation-'))
  const site = Site.create(['observer', 'second', 'third', 'fourth', 'fifth'])
  try {
    const simulation = new Simulation(site, directory)
    await simulation.startEtcd()
    await tellReach(site, join(directory, 'reach'))
    process.stdout.write(
      '| hosts | endpoints | cold start to convergence | kernel entries | from etcd at start | memory | one join: bytes, time | comparison of everything | a dead host forgotten |\n|---|---|---|---|---|---|---|---|---|\n'
    )
    for (const hosts of sizes) {
      const row = await simulation.measure(hosts)
      process.stdout.write(
        `| ${row.hosts} | ${row.endpoints} | ${(row.converged / 1000).toFixed(2)} s | ${row.entries} | ${(row.startBytes / 1e6).toFixed(2)} MB | ${row.memory.toFixed(0)} MB | ${row.joinBytes} B, ${row.joinMilliseconds.toFixed(0)} ms | ${row.compareMilliseconds.toFixed(0)} ms | ${row.death.toFixed(0)} ms |\n`
      )
    }
  } finally {
    site.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

try {
  await main(process.argv.slice(2))
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
