/** An overlay lab with everything that belongs to it: an etcd, and on each host an agent; plugins are called as a runtime would. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EtcdCluster } from './etcd-cluster.ts'
import { LabAgent, until } from './lab-agent.ts'
import type { Namespace } from './namespace.ts'
import { inLab, type LabHost, type LabReply, type OverlayLab, ok, pings } from './overlay-lab.ts'

export const ROOT = join(import.meta.dirname, '..', '..')
/** The plugins as built; the engine does not matter here. */
export const BIN_DIR =
  process.env['PATCHBAY_BIN_DIR'] ??
  ['native', 'node'].map(engine => join(ROOT, 'dist', engine, 'bin')).find(path => existsSync(join(path, 'cluster'))) ??
  ''

/** Seconds that an ADD may take which has to succeed: on a busy machine, too. */
const PATIENCE = 60
/** A host is forgotten so long after it was last heard of: no busy machine lets an agent wait for its turn as long. */
const LEASE_SECONDS = 60

/** Races that hide behind a quick etcd come out with `PATCHBAY_ETCD_DISTANCE=60`. */
const USUAL_DISTANCE = Number(process.env['PATCHBAY_ETCD_DISTANCE'] ?? 0)

/** A container on the overlay. */
export interface Box {
  readonly host: LabHost
  readonly id: string
  readonly netns: Namespace
  readonly ips: readonly string[]
  readonly mac: string
  readonly reply: LabReply
}

export interface SiteOptions {
  /** of etcd: one or three */
  readonly members: number
  /** Three when it is left out. */
  readonly hosts?: number
  /** Laid over the `etcd` of the agents' configuration. */
  readonly etcd?: object
  /** More arguments for etcd's members. */
  readonly etcdArgs?: readonly string[]
  /** How far etcd is from the agents: what they say to it, and what they hear, arrives so many milliseconds later. */
  readonly etcdDistance?: number
  /** Laid over the agents' configuration. */
  readonly agent?: object | ((host: LabHost) => object)
  /** A program and its arguments that start each agent, such as `unshare`. */
  readonly launcher?: readonly string[]
}

export class OverlaySite {
  readonly lab: OverlayLab
  readonly etcd: EtcdCluster
  readonly agents: readonly LabAgent[]

  constructor(lab: OverlayLab, etcd: EtcdCluster, agents: readonly LabAgent[]) {
    this.lab = lab
    this.etcd = etcd
    this.agents = agents
  }

  agent(number: number): LabAgent {
    const agent = this.agents[number]
    if (agent === undefined) throw new Error(`there is no agent ${number}`)
    return agent
  }

  /** The configuration of the network "net1" with VNI 42 on a host. */
  config(number: number, more: object = {}): Record<string, unknown> {
    const ranges = [[{ subnet: '10.42.0.0/16' }], [{ subnet: 'fd42::/64' }]]
    const registry = { socket: this.agent(number).socket, timeout: PATIENCE }
    return { type: 'vxlan', vni: 42, isGateway: true, registry, ipam: { type: 'cluster', ranges }, ...more }
  }

  async add(number: number, id: string, more: object = {}, netns = this.lab.container()): Promise<Box> {
    const host = this.lab.host(number)
    const reply = await this.lab.start(host, 'ADD', this.config(number, more), { id, netns: netns.path })
    if (reply.status !== 0) throw new Error(`ADD ${id} on host ${number}: ${reply.stdout}\n${this.agent(number).log}`)
    const ips = reply.json.ips.map((ip: { address: string }) => ip.address.split('/')[0])
    const mac = reply.json.interfaces.find((one: { sandbox?: string }) => (one.sandbox ?? '') !== '').mac
    return { host, id, netns, ips, mac, reply }
  }

  /** A command that needs no namespace: DEL, STATUS, GC. */
  async call(command: string, number: number, id: string, more: object = {}): Promise<LabReply> {
    return this.lab.start(this.lab.host(number), command, this.config(number, more), { id, netns: '' })
  }

  async check({ host, id, netns, reply }: Box, more: object = {}): Promise<LabReply> {
    const config = this.config(host.number, { prevResult: reply.json, ...more })
    return this.lab.start(host, 'CHECK', config, { id, netns: netns.path })
  }

  /** An ADD that fails, and soon. */
  async refused(number: number, id: string, more: object = {}): Promise<LabReply> {
    const registry = { socket: this.agent(number).socket, timeout: 3 }
    const netns = this.lab.container().path
    const config = this.config(number, { registry, ...more })
    const reply = await this.lab.start(this.lab.host(number), 'ADD', config, { id, netns })
    if (reply.status === 0) throw new Error(`ADD ${id} on host ${number} was not refused`)
    return reply
  }

  fdb(number: number): string {
    return ok(this.lab.host(number).namespace, 'bridge fdb show dev vx42')
  }

  neighbours(number: number): string {
    return ok(this.lab.host(number).namespace, 'ip neigh show dev br-vx42')
  }

  /** Whether a host's tables send frames for the container to its host, and answer questions for its addresses. */
  knows(number: number, box: Box): boolean {
    if (!this.fdb(number).includes(`${box.mac} dst ${box.host.address} self`)) return false
    const neighbours = this.neighbours(number)
    return box.ips.every(ip => neighbours.includes(`${ip} lladdr ${box.mac}`))
  }
}

/** Makes a site for `body` and takes it away after it. */
export async function inSite(options: SiteOptions, body: (site: OverlaySite) => Promise<void>): Promise<void> {
  await inLab(options.hosts ?? 3, { binDir: BIN_DIR }, async lab => {
    const etcd = await EtcdCluster.start(lab, options.members, options.etcdArgs)
    const leases = { leaseSeconds: LEASE_SECONDS, addressLeaseSeconds: LEASE_SECONDS }
    const { agent = {}, launcher, etcdDistance = USUAL_DISTANCE } = options
    const endpoints = etcdDistance === 0 ? etcd.endpoints() : await etcd.farEndpoints(etcdDistance)
    const agents = lab.hosts.map(host => {
      const more = typeof agent === 'function' ? agent(host) : agent
      const config = { etcd: { endpoints, ...leases, ...options.etcd }, ...more }
      return new LabAgent(lab, host, config, launcher)
    })
    await Promise.all(agents.map(agent => agent.whenReady()))
    await body(new OverlaySite(lab, etcd, agents))
  })
}

/** Waits for a ping to get through. @returns milliseconds */
export function reached(from: Box, address: string): Promise<number> {
  return until(`${from.id} reaches ${address}`, () => pings(from.netns, address))
}
