/**
 * `npm run demo:services`: three hosts, a web service with members on two of them and a database on the third; reached by name
 * from every container and by a published port from every host; then the web servers are replaced under load. Hosts are
 * network namespaces of this process, so nothing of the machine's own network is touched, and nothing is left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { PUBLISHED_TABLE } from '../lib/nft/service-ports.ts'
import { inNamespace } from '../lib/sys/netns.ts'
import { Cluster, ETCD_URL } from './demo/cluster.ts'
import { drawServices } from './demo/services-picture.ts'
import type { Site, SiteHost } from './demo/site.ts'
import { pause } from './demo/site-agent.ts'
import { BIN_DIR, hasEtcd, obstacleTo, onStage, PATCHBAY } from './demo/stage.ts'
import { makeNamespace, type Namespace, run } from './demo/world.ts'

const STORY = fileURLToPath(new URL('./demo/story.ts', import.meta.url))
const NETWORK = 'blue'
const PORT = 8001
const NO_ETCD = 'etcd is not installed: apt-get install etcd-server'

interface Container {
  readonly host: SiteHost
  readonly name: string
  readonly namespace: Namespace
  readonly address: string
  readonly server: ChildProcess | undefined
}

interface Load {
  readonly answered: number
  readonly ended: number
  readonly failures: readonly string[]
}

async function main(): Promise<number> {
  const obstacle = obstacleTo('demo:services') ?? (hasEtcd() ? undefined : NO_ETCD)
  if (obstacle !== undefined) {
    process.stderr.write(`${obstacle}\n`)
    return 1
  }
  return onStage(({ site, directory, atEnd }) => {
    const demo = new Demo(site, directory)
    atEnd(() => demo.stop())
    return demo.run()
  })
}

class Demo {
  readonly #site: Site
  readonly #programs: ChildProcess[] = []
  readonly #cluster: Cluster

  constructor(site: Site, directory: string) {
    this.#site = site
    this.#cluster = new Cluster(PATCHBAY, site, directory)
  }

  stop(): void {
    for (const program of this.#programs) program.kill('SIGKILL')
  }

  async run(): Promise<number> {
    say('Three hosts (network namespaces), etcd, and patchbay agent on each.')
    await this.#cluster.startEtcd()
    for (const host of this.#site.hosts) {
      const pluginStateDir = join(this.#cluster.place(host), 'state')
      await this.#cluster.startAgent(host, { pluginStateDir, etcd: { endpoints: [ETCD_URL] } })
    }

    say(`\n1. One network, two services, without a container yet`)
    await this.#createAll()

    say('\n2. Containers: web servers on two hosts, a database on the third')
    const [amsterdam, berlin, copenhagen] = this.#site.hosts
    if (amsterdam === undefined || berlin === undefined || copenhagen === undefined) throw new Error('three hosts')
    const db = await this.#attach(copenhagen, 'db1', 'db')
    const webs = [await this.#attach(amsterdam, 'web1', 'web'), await this.#attach(berlin, 'web2', 'web')]
    say('')
    say(drawServices(this.#site.hosts, [...webs, db], this.#services(), PORT))

    say('3. By name: a client asks web, and web asks db')
    const client = await this.#attach(copenhagen, 'client', '')
    const { address } = this.#service('web')
    for (const line of this.#visit(client.namespace, address, 80, 4)) say(`   client -> web (${address}) -> ${line}`)

    say(`\n4. By the published port, from outside, at every host: also where no web server runs`)
    for (const host of this.#site.hosts) {
      for (const line of visitFromSwitch(host.address)) say(`   ${`${host.name}:${PORT}`.padEnd(16)} -> ${line}`)
    }

    say('\n5. Both web servers are replaced, one after the other, while the client goes on connecting')
    await this.#replace(client, webs)
    this.#showTraffic()

    say('\n6. Removed')
    return this.#remove()
  }

  async #createAll(): Promise<void> {
    const lines = [
      `network create -d overlay --subnet 10.42.0.0/24 ${NETWORK}`,
      `service create db --network ${NETWORK}`,
      `service create web --network ${NETWORK} --publish ${PORT}:80`
    ]
    for (const line of lines) {
      say(`   patchbay ${line}`)
      const [host] = this.#site.hosts
      if (host !== undefined) this.#agentCommand(host, line.split(' '))
      await this.#cluster.wait('the network is on every host', () =>
        this.#site.hosts.every(one => existsSync(join(this.#cluster.place(one), `patchbay-${NETWORK}.conflist`)))
      )
    }
  }

  #command(host: SiteHost, args: readonly string[]): string {
    const answer = this.#site.run(host, PATCHBAY, args)
    if (answer.status === 0) return answer.stdout
    throw new Error(`patchbay ${args.join(' ')}: ${answer.stderr.trim() || answer.stdout.trim()}\n${this.#cluster.log}`)
  }

  #agentCommand(host: SiteHost, args: readonly string[]): string {
    const places = args[0] === 'network' ? ['--conf-dir', this.#cluster.place(host)] : []
    return this.#command(host, [...args, ...places, '--agent-socket', this.#cluster.socket(host)])
  }

  /** A container whose program runs before it is attached: who is a member serves. */
  async #attach(host: SiteHost, name: string, alias: string): Promise<Container> {
    const namespace = makeNamespace()
    const server = alias === '' ? undefined : await this.#serve(namespace, alias, `${name} on ${host.name}`)
    const flags = ['--container-id', name, '--name', name, ...(alias === '' ? [] : ['--alias', alias]), '--json']
    const out = this.#command(host, ['attach', NETWORK, namespace.path, ...flags, ...this.#flags(host)])
    const result: { readonly ips: readonly { readonly address: string }[] } = JSON.parse(out)
    return { host, name, namespace, server, address: result.ips[0]?.address.replace(/\/.*/, '') ?? '' }
  }

  #detach({ host, name, namespace, server }: Container): void {
    this.#command(host, ['detach', NETWORK, namespace.path, '--container-id', name, ...this.#flags(host)])
    server?.kill('SIGKILL')
  }

  #flags(host: SiteHost): readonly string[] {
    const directory = this.#cluster.place(host)
    return ['--conf-dir', directory, '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
  }

  #serve(namespace: Namespace, what: string, name: string): Promise<ChildProcess> {
    const child = inNamespace(namespace.fd, () =>
      spawn(process.execPath, ['--no-warnings', STORY, what, name], { stdio: ['ignore', 'pipe', 'inherit'] })
    )
    this.#programs.push(child)
    return new Promise((resolve, reject) => {
      child.once('exit', status => reject(new Error(`${name} ended with ${status}`)))
      child.stdout.once('data', () => resolve(child))
    })
  }

  #visit(namespace: Namespace, address: string, port: number, times: number): readonly string[] {
    return inNamespace(namespace.fd, () => visit(address, port, times))
  }

  async #replace(client: Container, webs: readonly Container[]): Promise<void> {
    const { address } = this.#service('web')
    const loading = inNamespace(client.namespace.fd, () =>
      spawn(process.execPath, ['--no-warnings', STORY, 'load', address, '80'], { stdio: ['pipe', 'pipe', 'inherit'] })
    )
    this.#programs.push(loading)
    let said = ''
    loading.stdout.on('data', chunk => {
      said += String(chunk)
    })
    await pause(500)
    for (const old of webs) {
      const next = await this.#attach(old.host, `${old.name}b`, 'web')
      this.#detach(old)
      say(`   ${old.name} on ${old.host.name} -> ${next.name}`)
    }
    await pause(500)
    const ended = new Promise(resolve => loading.once('close', resolve))
    loading.stdin.end()
    await ended
    const { answered, ended: cut, failures }: Load = JSON.parse(said)
    say(
      `   ${answered} connections answered, ${cut} ended with the server that they were open with, ${failures.length} failed`
    )
    if (failures.length > 0) throw new Error(`connections failed: ${failures[0]}`)
  }

  #showTraffic(): void {
    const host = this.#site.hosts.at(-1)
    if (host === undefined) return
    const [web] = JSON.parse(this.#agentCommand(host, ['service', 'inspect', 'web']))
    say(`\n   patchbay service inspect web, on ${host.name}: to members from here`)
    for (const one of web.Members)
      say(`      ${`${one.Name} on ${one.Host}`.padEnd(20)} ${one.Sent.Packets} packets, ${one.Sent.Bytes} bytes`)
  }

  #services(): readonly { readonly name: string; readonly address: string; readonly ports: string }[] {
    return ['web', 'db'].map(name => this.#service(name))
  }

  #service(name: string): { readonly name: string; readonly address: string; readonly ports: string } {
    const [host] = this.#site.hosts
    if (host === undefined) throw new Error('no host')
    const [shown] = JSON.parse(this.#agentCommand(host, ['service', 'inspect', name]))
    return { name, address: shown.VirtualIPs[0] ?? '', ports: shown.Ports.join(' ') }
  }

  async #remove(): Promise<number> {
    const [host] = this.#site.hosts
    if (host === undefined) return 1
    say('   patchbay service rm web db')
    this.#agentCommand(host, ['service', 'rm', 'web', 'db'])
    await this.#cluster.wait('no host publishes', () => this.#site.hosts.every(one => !this.#publishes(one)))
    say('   nothing of them is left; hosts and containers go with this process')
    return 0
  }

  #publishes(host: SiteHost): boolean {
    const net = this.#site.net(host)
    const nft = new LinuxKernel().nft(net)
    try {
      return nft.findTable('ip', PUBLISHED_TABLE) !== undefined
    } finally {
      nft.close()
      net.close()
    }
  }
}

/** From a machine that is no host of the network. */
function visitFromSwitch(address: string): readonly string[] {
  return visit(address, PORT, 2)
}

function visit(address: string, port: number, times: number): readonly string[] {
  const answer = run(process.execPath, ['--no-warnings', STORY, 'visit', address, String(port), String(times)])
  if (answer.status !== 0) throw new Error(`no answer from ${address} port ${port}: ${answer.stderr.trim()}`)
  return answer.stdout.trim().split('\n')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
