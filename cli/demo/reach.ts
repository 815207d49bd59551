/** How soon after the return of its ADD a new container is known on every host of a site: by the kernels' own tables. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatMac } from '../../lib/ip/mac.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { CENTER, type Site, type SiteHost } from './site.ts'
import { SiteAgent } from './site-agent.ts'
import { makeNamespace } from './world.ts'

const VNI = 77
const TUNNEL = `vx${VNI}`
const BRIDGE = `br-vx${VNI}`
const ROUNDS = 25
const LIMIT_MS = 10_000

export interface ReachPlaces {
  readonly directory: string
  readonly patchbay: string
  readonly binDir: string
}

/** Milliseconds, of each new container: of its ADD, and from ADD's return until all other hosts' kernels know it. */
export interface Reach {
  readonly adds: readonly number[]
  readonly delays: readonly number[]
}

/** Each host gets an agent and a container; then containers come on the last host, one after the other. */
export async function measureReach(site: Site, places: ReachPlaces): Promise<Reach> {
  const agents: SiteAgent[] = []
  const [others, last] = [site.hosts.slice(0, -1), site.hosts.at(-1)]
  if (last === undefined) throw new Error('there is no host')
  for (const host of site.hosts) {
    const directory = join(places.directory, host.name)
    mkdirSync(directory, { recursive: true })
    writeConfig(host, directory)
    const agent = new SiteAgent(places.patchbay, site, host, directory)
    agents.push(agent)
    await agent.whenUp()
    call(places, host, 'ADD', `first-${host.name}`)
  }
  const adds: number[] = []
  const delays: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now()
    const { mac, ips } = call(places, last, 'ADD', `new-${round}`)
    const returned = performance.now()
    adds.push(returned - started)
    while (!others.every(host => knows(site, host, mac, ips))) {
      if (performance.now() - returned > LIMIT_MS) throw new Error(`not every host knows ${mac} after ${LIMIT_MS} ms`)
    }
    delays.push(performance.now() - returned)
  }
  for (let round = 0; round < ROUNDS; round += 1) call(places, last, 'DEL', `new-${round}`)
  for (const host of site.hosts) call(places, host, 'DEL', `first-${host.name}`)
  for (const agent of agents) await agent.stop()
  return { adds, delays }
}

function writeConfig(host: SiteHost, directory: string): void {
  const config = {
    host: host.name,
    socket: join(directory, 'agent.sock'),
    stateDir: join(directory, 'agent'),
    http: `unix:${join(directory, 'http.sock')}`,
    etcd: { endpoints: [`http://${CENTER}:2379`], prefix: '/reach' }
  }
  writeFileSync(join(directory, 'agent.json'), JSON.stringify(config))
}

/** Calls the plugin as a runtime does. */
function call(
  places: ReachPlaces,
  host: SiteHost,
  command: string,
  id: string
): { readonly mac: string; readonly ips: readonly string[] } {
  const directory = join(places.directory, host.name)
  const config = {
    cniVersion: '1.0.0',
    name: 'reach',
    type: 'vxlan',
    vni: VNI,
    registry: { socket: join(directory, 'agent.sock') },
    stateDir: join(directory, 'state'),
    ipam: { type: 'cluster', ranges: [[{ subnet: '10.77.0.0/16' }], [{ subnet: 'fd77::/64' }]] }
  }
  const env = {
    PATH: process.env['PATH'],
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: command === 'ADD' ? makeNamespace().path : '',
    CNI_IFNAME: 'eth0',
    CNI_PATH: places.binDir
  }
  const program = join(places.binDir, 'vxlan')
  const options = { encoding: 'utf8', env, input: JSON.stringify(config) } as const
  const answer = inNamespace(host.namespace.fd, () => spawnSync(program, [], options))
  if (answer.status !== 0) throw new Error(`${command} ${id} on ${host.name}: ${answer.stdout}${answer.stderr}`)
  if (command !== 'ADD') return { mac: '', ips: [] }
  const result = JSON.parse(answer.stdout) as {
    readonly interfaces: readonly { readonly mac: string; readonly sandbox?: string }[]
    readonly ips: readonly { readonly address: string }[]
  }
  const inside = result.interfaces.find(one => (one.sandbox ?? '') !== '')
  return { mac: inside?.mac ?? '', ips: result.ips.map(ip => ip.address.replace(/\/.*/, '')) }
}

/** Frames for the container find their way from this host, and questions for its addresses are answered there. */
function knows(site: Site, host: SiteHost, mac: string, ips: readonly string[]): boolean {
  const net = site.net(host)
  try {
    const fdb = net.fdb.list(net.links.get(TUNNEL).index)
    if (!fdb.some(entry => entry.self === true && formatMac(entry.mac) === mac)) return false
    const macs = net.neighbours
      .list(net.links.get(BRIDGE).index)
      .map(one => (one.mac === undefined ? '' : formatMac(one.mac)))
    return macs.filter(one => one === mac).length === ips.length
  } finally {
    net.close()
  }
}
