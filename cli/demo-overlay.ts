/**
 * `npm run demo:overlay`: three hosts with a container on each, all in one layer-2 network; then one host dies and the
 * others forget it. Hosts are network namespaces of this process, so nothing of the machine's own network is touched, and
 * nothing is left behind.
 *
 *     --static      without etcd: the hosts know each other from a file
 *     --encrypted   by WireGuard, where the kernel has it
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CARRIER_FILE } from '../agent/encryption/carrier.ts'
import { formatAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { unpinNetns } from '../lib/sys/pinned-netns.ts'
import { Cluster, ETCD_URL } from './demo/cluster.ts'
import type { Site, SiteHost } from './demo/site.ts'
import { BIN_DIR, hasEtcd, NAMES, obstacleTo, onStage, PATCHBAY } from './demo/stage.ts'
import { connectFrom, makeNamespace, type Namespace, startEcho } from './demo/world.ts'

const NETWORK = 'blue'
const VNI = 42
const ECHO_PORT = 7
const LEASE_SECONDS = 3
const WIREGUARD_PORT = 51_830

interface Container {
  readonly host: SiteHost
  readonly name: string
  readonly namespace: Namespace
  readonly addresses: readonly string[]
  readonly mac: string
}

/** The part of a CNI result that the demo shows. */
interface CniResult {
  readonly interfaces: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips: readonly { readonly address: string }[]
}

async function main(args: readonly string[]): Promise<number> {
  const wish: Wish = { isStatic: args.includes('--static'), isEncrypted: args.includes('--encrypted') }
  const obstacle = whyNot(wish)
  if (obstacle !== undefined) {
    process.stderr.write(`${obstacle}\n`)
    return 1
  }
  return onStage(async ({ site, directory, atEnd }) => {
    if (wish.isEncrypted && !hasWireGuard()) {
      process.stderr.write(`${NO_WIREGUARD}\n`)
      return 1
    }
    // The carriers' namespaces hang on files, which are unmounted once nobody is in them.
    atEnd(() => {
      for (const name of NAMES) unpinNetns(join(directory, name, 'agent', CARRIER_FILE))
    })
    return new Demo(site, directory, wish).run()
  })
}

interface Wish {
  readonly isStatic: boolean
  readonly isEncrypted: boolean
}

const NO_WIREGUARD = `this kernel has no WireGuard, which encryption needs: modprobe wireguard (Linux 5.6 or newer)
  or see it in an emulated machine whose kernel has it: npm run in-guest -- cli/demo-overlay.ts --encrypted
  or see the same in clear: npm run demo:overlay`

/** Tried in this process's own namespace. */
function hasWireGuard(): boolean {
  const host = new LinuxKernel().host()
  try {
    host.links.removeByIndex(host.links.add({ name: 'probe', kind: { kind: 'wireguard' } }).index)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EOPNOTSUPP') return false
    throw error
  } finally {
    host.close()
  }
}

function whyNot({ isStatic, isEncrypted }: Wish): string | undefined {
  if (isStatic && isEncrypted) return '--static and --encrypted exclude each other: a file of hosts knows no keys'
  const obstacle = obstacleTo('demo:overlay')
  if (obstacle !== undefined || isStatic || hasEtcd()) return obstacle
  return 'etcd is not installed: apt-get install etcd-server, or see the same without it: npm run demo:overlay -- --static'
}

class Demo {
  readonly #site: Site
  readonly #directory: string
  readonly #isStatic: boolean
  readonly #isEncrypted: boolean
  readonly #cluster: Cluster
  readonly #agents = new Map<string, { readonly kill: (signal: NodeJS.Signals) => boolean }>()

  constructor(site: Site, directory: string, { isStatic, isEncrypted }: Wish) {
    this.#site = site
    this.#directory = directory
    this.#cluster = new Cluster(PATCHBAY, site, directory)
    this.#isStatic = isStatic
    this.#isEncrypted = isEncrypted
  }

  async run(): Promise<number> {
    const registry = this.#isStatic ? 'a file with the addresses of the hosts' : 'etcd'
    say(`Three hosts (network namespaces) on one network; the registry is ${registry}.`)
    say(`\n1. Start: ${this.#isStatic ? '' : 'etcd, and '}patchbay agent on each host`)
    if (!this.#isStatic) {
      await this.#cluster.startEtcd()
      say(`   etcd on ${ETCD_URL}`)
    }
    for (const host of this.#site.hosts) await this.#startAgent(host)

    say(`\n2. Attach a container on each host: patchbay attach ${NETWORK} NETNS`)
    const containers = this.#site.hosts.map(host => this.#attach(host))
    draw(containers, this.#isEncrypted ? `WireGuard, UDP ${WIREGUARD_PORT}` : `UDP 4789, VNI ${VNI}`)

    say('3. Talk, every container with every other')
    await this.#talk(containers)
    this.#showTables(containers)
    if (this.#isEncrypted) this.#showKeys()

    say('\n4. A host dies')
    await this.#die(containers)

    say('\n5. Detach')
    return this.#detach(containers.slice(0, -1))
  }

  async #startAgent(host: SiteHost): Promise<void> {
    const directory = this.#cluster.place(host)
    mkdirSync(directory, { recursive: true })
    this.#writeHosts(this.#site.hosts)
    const registry = this.#isStatic
      ? { file: this.#hostsFile }
      : {
          etcd: {
            endpoints: [ETCD_URL],
            leaseSeconds: LEASE_SECONDS,
            addressLeaseSeconds: LEASE_SECONDS
          }
        }
    const encryption = { directory: join(directory, 'keys') }
    writeFileSync(join(directory, `${NETWORK}.conflist`), JSON.stringify(this.#network(host), undefined, 2))
    const agent = await this.#cluster.startAgent(host, { encryption, ...registry })
    this.#agents.set(host.name, agent)
    say(`   agent on ${host.name} (${host.address})`)
  }

  #network(host: SiteHost): object {
    const directory = this.#cluster.place(host)
    const plugin = {
      type: 'vxlan',
      vni: VNI,
      isDefaultGateway: true,
      ...(this.#isEncrypted ? { encrypted: true } : {}),
      registry: { socket: this.#cluster.socket(host) },
      stateDir: join(directory, 'state'),
      ipam: this.#isStatic
        ? this.#hostLocal(host)
        : { type: 'cluster', ranges: [[{ subnet: '10.42.0.0/16' }], [{ subnet: 'fd42::/64' }]] }
    }
    return { cniVersion: '1.0.0', name: NETWORK, plugins: [plugin] }
  }

  /** Without a registry that can tell what is taken, every host has a range of its own. */
  #hostLocal(host: SiteHost): object {
    const number = this.#site.hosts.indexOf(host) + 1
    const four = { subnet: '10.42.0.0/16', rangeStart: `10.42.${number}.2`, rangeEnd: `10.42.${number}.254` }
    const six = { subnet: 'fd42::/64', rangeStart: `fd42::${number}:2`, rangeEnd: `fd42::${number}:ffff` }
    return { type: 'host-local', dataDir: join(this.#cluster.place(host), 'leases'), ranges: [[four], [six]] }
  }

  #patchbay(host: SiteHost, args: readonly string[]): string {
    const directory = this.#cluster.place(host)
    const flags = ['--conf-dir', directory, '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
    const answer = this.#site.run(host, PATCHBAY, [...args, ...flags])
    if (answer.status === 0) return answer.stdout
    throw new Error(`patchbay ${args[0]}: ${answer.stderr.trim() || answer.stdout.trim()}\n${this.#cluster.log}`)
  }

  #attach(host: SiteHost): Container {
    const namespace = makeNamespace()
    const name = `on-${host.name}`
    const out = this.#patchbay(host, ['attach', NETWORK, namespace.path, '--container-id', name, '--json'])
    const result = JSON.parse(out) as CniResult
    const inside = result.interfaces.find(one => (one.sandbox ?? '') !== '')
    const addresses = result.ips.map(ip => ip.address.replace(/\/.*/, ''))
    return { host, name, namespace, addresses, mac: inside?.mac ?? '' }
  }

  async #talk(containers: readonly Container[]): Promise<void> {
    for (const to of containers) {
      const echo = await startEcho(to.namespace, ECHO_PORT)
      try {
        for (const from of containers) {
          if (from === to) continue
          const times = to.addresses.map(
            address => `${address} ${connectFrom(from.namespace, address, ECHO_PORT).milliseconds.toFixed(1)} ms`
          )
          say(`   ${from.name} -> ${to.name}: TCP ${times.join(', ')}`)
        }
      } finally {
        echo.stop()
      }
    }
  }

  /** What the first host's kernel has: its agent wrote it, or its tunnel learned it. */
  #showTables(containers: readonly Container[]): void {
    const [first] = containers
    if (first === undefined) return
    const net = this.#site.net(first.host)
    const names = new Map(containers.map(one => [one.mac, one.name]))
    say(`\n   ${first.host.name}'s tunnel vx${VNI} knows:`)
    for (const entry of net.fdb.list(net.links.get(`vx${VNI}`).index)) {
      if (entry.self !== true || entry.dst === undefined) continue
      const mac = formatMac(entry.mac)
      const who = mac === '00:00:00:00:00:00' ? 'frames for all' : names.get(mac)
      if (who !== undefined) say(`      ${mac}  ${who.padEnd(16)} -> ${formatAddress(entry.dst)}`)
    }
    net.close()
  }

  /** Whose keys the first host has. */
  #showKeys(): void {
    const [first] = this.#site.hosts
    if (first === undefined) return
    const config = join(this.#cluster.place(first), 'agent.json')
    const { stdout, stderr } = this.#site.run(first, PATCHBAY, ['agent', 'trust', '--config', config])
    say(`\n   patchbay agent trust, on ${first.name}:\n${(stdout || stderr).replaceAll(/^(?=.)/gm, '      ')}`)
  }

  async #die(containers: readonly Container[]): Promise<void> {
    const dead = containers.at(-1)
    if (dead === undefined) return
    const vtep = this.#vtepOf(dead.host)
    this.#agents.get(dead.host.name)?.kill('SIGKILL')
    this.#site.cut(dead.host)
    say(`   ${dead.host.name}: the power is off`)
    const started = performance.now()
    if (this.#isStatic) {
      this.#writeHosts(this.#site.hosts.filter(host => host !== dead.host))
      say(`   without etcd nobody notices by himself: ${dead.host.name} is taken out of the hosts' file`)
    } else say(`   its lease of ${LEASE_SECONDS} s is not renewed any more ...`)
    const others = containers.filter(one => one !== dead)
    for (const { host } of others) await this.#cluster.wait(`${host.name} forgets it`, () => !this.#knows(host, vtep))
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    say(`   after ${seconds} s ${others.map(one => one.host.name).join(' and ')} have forgotten it`)
    await this.#talk(others)
  }

  /** The address that other hosts send frames for a host to. */
  #vtepOf(host: SiteHost): string {
    const net = this.#site.net(host)
    try {
      const { info } = net.links.get(`vx${VNI}`)
      return info.kind === 'vxlan' && info.local !== undefined ? formatAddress(info.local) : host.address
    } finally {
      net.close()
    }
  }

  #knows(host: SiteHost, vtep: string): boolean {
    const net = this.#site.net(host)
    try {
      const entries = net.fdb.list(net.links.get(`vx${VNI}`).index)
      // What a tunnel has learned from frames ages; what it was told is taken away at once.
      return entries.some(one => one.dst !== undefined && formatAddress(one.dst) === vtep && one.permanent === true)
    } finally {
      net.close()
    }
  }

  #detach(containers: readonly Container[]): number {
    const left: string[] = []
    for (const { host, name, namespace } of containers) {
      this.#patchbay(host, ['detach', NETWORK, namespace.path, '--container-id', name])
      const net = this.#site.net(host)
      for (const link of net.links.list())
        if (link.name !== 'lo' && link.name !== 'eth0') left.push(`${link.name} on ${host.name}`)
      net.close()
    }
    if (left.length === 0) {
      say('   nothing is left on the hosts: no bridge, no tunnel, no veth; they themselves go with this process')
      return 0
    }
    process.stderr.write(`left behind: ${left.join(', ')}\n`)
    return 1
  }

  get #hostsFile(): string {
    return join(this.#directory, 'hosts.json')
  }

  #writeHosts(hosts: readonly SiteHost[]): void {
    writeFileSync(this.#hostsFile, JSON.stringify({ hosts: hosts.map(host => host.address) }))
  }
}

/** Three hosts side by side on a wire, each with its bridge and its container. */
function draw(containers: readonly Container[], underlay: string): void {
  const width = Math.max(...containers.flatMap(one => [one.name, ...one.addresses].map(text => text.length))) + 4
  const centre = (text: string): string => {
    const left = Math.floor((width - text.length) / 2)
    return ' '.repeat(left) + text + ' '.repeat(width - text.length - left)
  }
  const row = (line: (one: Container) => string): void => say(`   ${containers.map(line).join('   ')}`.trimEnd())
  const half = Math.floor(width / 2)
  say('')
  row(() => `┌${'─'.repeat(width)}┐`)
  row(one => `│${centre(one.host.name)}│`)
  row(() => `│${centre(`br-vx${VNI}`)}│`)
  row(one => `│${centre(one.name)}│`)
  for (const index of containers[0]?.addresses.keys() ?? []) row(one => `│${centre(one.addresses[index] ?? '')}│`)
  row(() => `│${centre('')}│`)
  row(() => `│${centre(`vx${VNI}`)}│`)
  row(one => `│${centre(one.host.address)}│`)
  row(() => `└${'─'.repeat(half)}┬${'─'.repeat(width - half - 1)}┘`)
  const last = containers.length - 1
  const wire = containers.map((_, i) => {
    const left = i === 0 ? ' '.repeat(half + 1) : '═'.repeat(half + 1)
    const right = i === last ? '' : '═'.repeat(width - half)
    const corner = i === 0 ? '╚' : i === last ? '╝' : '╩'
    return left + corner + right
  })
  say(`   ${wire.join('═══')}`)
  say(`   ${centre('')} ${underlay}\n`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
