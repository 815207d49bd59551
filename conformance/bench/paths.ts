/** Paths between two namespaces, each made by plugins and by hand: what `ip` and `nft` make of the same topology. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Netns } from '../netns.ts'
import { Chain, type JsonObject } from './chain.ts'
import { publishOthers } from './growth.ts'
import { bridge, PATH, published, VERSION, vxlan } from './networks.ts'
import type { PathScenario, Route } from './path.ts'
import { type Contestant, command, line, nameOf, type Stage } from './scenario.ts'
import { SERVICE } from './service-path.ts'

const BY_HAND = 'by hand'
const HAND: Contestant = { name: BY_HAND, dir: '' }
const PORT = 80
const HOST_PORT = 18080

/** The path made by hand, and by every contestant that has the plugins. */
function subjectsOf(
  needs: readonly string[],
  byHand: (stage: Stage) => Route,
  byPlugins: (stage: Stage) => Route
): PathScenario['subjects'] {
  return contestants => [
    { name: BY_HAND, contestant: HAND, build: byHand },
    ...able(contestants, needs).map(contestant => ({ name: contestant.name, contestant, build: byPlugins }))
  ]
}

function able(contestants: readonly Contestant[], needs: readonly string[]): readonly Contestant[] {
  return contestants.filter(({ dir }) => needs.every(name => existsSync(join(dir, name))))
}

/** Attaches a container with a chain of plugins. @returns its address */
function attach(stage: Stage, netns: Netns, containerId: string, ...plugins: readonly JsonObject[]): string {
  const chain = new Chain(stage.contestant.dir, { name: 'bench', cniVersion: VERSION, plugins, env: { PATH } })
  chain.add({ containerId, ifName: 'eth0', netns })
  const ips = chain.result?.['ips'] as readonly { readonly address: string }[] | undefined
  const address = ips?.[0]?.address.replace(/\/.*/, '')
  if (address === undefined) throw new Error(`attach ${containerId}: no address`)
  return address
}

/** Where a container is plugged in, and as whom. */
interface Plug {
  readonly port: string
  readonly bridgeName: string
  readonly address: string
  readonly mtu: number
}

/** A container's veth on a bridge of the host that this thread is in. */
function plugIn(netns: Netns, { port, bridgeName, address, mtu }: Plug): void {
  line(`ip link add ${port} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${nameOf(netns)}`)
  line(`ip link set ${port} master ${bridgeName} up`)
  netns.inside(() => {
    line(`ip address add ${address} dev eth0`)
    line('ip link set eth0 up')
  })
}

/** The machine at the other end of the host's uplink, 192.0.2.1. */
function outside(stage: Stage): Netns {
  const netns = stage.container('outside')
  line(`ip link set wire netns ${nameOf(netns)}`)
  netns.inside(() => {
    line('ip address add 192.0.2.1/24 dev wire')
    line('ip link set wire up')
  })
  return netns
}

function makeBridge(address: string): void {
  line('ip link add cni0 type bridge')
  line('ip link set cni0 up')
  line(`ip address add ${address} dev cni0`)
}

function between(from: Netns, to: Netns, address: string): Route {
  return { from, to, listen: [address, PORT], connect: [address, PORT] }
}

const BRIDGE: PathScenario = {
  id: 'path-bridge',
  title: 'bridge, container to container',
  subjects: subjectsOf(
    ['bridge', 'host-local'],
    stage => {
      const [a, b] = [stage.container('a'), stage.container('b')]
      makeBridge('10.77.0.1/16')
      plugIn(a, { port: 'port-a', bridgeName: 'cni0', address: '10.77.0.2/16', mtu: 1500 })
      plugIn(b, { port: 'port-b', bridgeName: 'cni0', address: '10.77.0.3/16', mtu: 1500 })
      return between(a, b, '10.77.0.3')
    },
    stage => {
      const [a, b] = [stage.container('a'), stage.container('b')]
      attach(stage, a, 'a', bridge(stage))
      return between(a, b, attach(stage, b, 'b', bridge(stage)))
    }
  )
}

/** `count` ports of another container are published besides the one that is used. */
function mapped(stage: Stage, others: number): Route {
  const from = outside(stage)
  publishOthers(stage, others)
  const to = stage.container('a')
  const address = attach(stage, to, 'a', bridge(stage), published([HOST_PORT, PORT]))
  return { from, to, listen: [address, PORT], connect: ['192.0.2.2', HOST_PORT] }
}

const PORTMAP_NEEDS = ['bridge', 'host-local', 'portmap']

const PORTMAP: PathScenario = {
  id: 'path-portmap',
  title: 'portmap, outside to published port',
  subjects: subjectsOf(
    PORTMAP_NEEDS,
    stage => {
      const from = outside(stage)
      const to = stage.container('a')
      makeBridge('10.77.0.1/16')
      plugIn(to, { port: 'port-a', bridgeName: 'cni0', address: '10.77.0.2/16', mtu: 1500 })
      to.inside(() => line('ip route add default via 10.77.0.1'))
      writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
      line('nft add table ip published')
      command('nft', 'add chain ip published in { type nat hook prerouting priority dstnat; }')
      line(`nft add rule ip published in ip daddr 192.0.2.2 tcp dport ${HOST_PORT} dnat to 10.77.0.2:${PORT}`)
      return { from, to, listen: ['10.77.0.2', PORT], connect: ['192.0.2.2', HOST_PORT] }
    },
    stage => mapped(stage, 0)
  )
}

const OTHERS = 5000

const PORTMAP_AMONG_OTHERS: PathScenario = {
  id: 'path-portmap-5000',
  title: `portmap, outside to published port, ${OTHERS} other mappings`,
  // The reference would take minutes to publish so many.
  subjects: contestants =>
    able(contestants, PORTMAP_NEEDS)
      .filter(({ name }) => name !== 'reference')
      .slice(0, 1)
      .flatMap(contestant => [
        { name: `${contestant.name}, no others`, contestant, build: (stage: Stage) => mapped(stage, 0) },
        { name: contestant.name, contestant, build: (stage: Stage) => mapped(stage, OTHERS) }
      ])
}

const MACVLAN: PathScenario = {
  id: 'path-macvlan',
  title: 'macvlan, outside to container',
  kind: 'macvlan',
  subjects: subjectsOf(
    ['macvlan', 'static'],
    stage => {
      const to = stage.container('a')
      line(`ip link add link uplink name eth0 netns ${nameOf(to)} type macvlan mode bridge`)
      to.inside(() => {
        line('ip address add 192.0.2.9/24 dev eth0')
        line('ip link set eth0 up')
      })
      return between(outside(stage), to, '192.0.2.9')
    },
    stage => {
      const to = stage.container('a')
      const ipam = { type: 'static', addresses: [{ address: '192.0.2.9/24' }] }
      const address = attach(stage, to, 'a', { type: 'macvlan', master: 'uplink', mode: 'bridge', ipam })
      return between(outside(stage), to, address)
    }
  )
}

const VXLAN_MTU = 1450

/** A host's way to the other one. */
interface Underlay {
  readonly dev: string
  readonly local: string
  readonly remote: string
}

/** Half of an overlay between two hosts, with one container. */
function overlayByHand({ dev, local, remote }: Underlay, netns: Netns, address: string): void {
  line('ip link add br-vx42 type bridge')
  line(`ip link add vx42 type vxlan id 42 dev ${dev} local ${local} dstport 4789`)
  line('ip link set vx42 master br-vx42')
  line(`bridge fdb append 00:00:00:00:00:00 dev vx42 dst ${remote}`)
  for (const link of ['vx42', 'br-vx42']) line(`ip link set ${link} mtu ${VXLAN_MTU} up`)
  plugIn(netns, { port: 'port', bridgeName: 'br-vx42', address, mtu: VXLAN_MTU })
}

const VXLAN: PathScenario = {
  id: 'path-vxlan',
  title: 'vxlan, containers on two hosts',
  kind: 'vxlan',
  subjects: subjectsOf(
    ['vxlan', 'static'],
    stage => {
      const [a, b, far] = [stage.container('a'), stage.container('b'), outside(stage)]
      overlayByHand({ dev: 'uplink', local: '192.0.2.2', remote: '192.0.2.1' }, a, '10.78.0.2/16')
      const wire = { dev: 'wire', local: '192.0.2.1', remote: '192.0.2.2' }
      far.inside(() => overlayByHand(wire, b, '10.78.0.3/16'))
      return between(a, b, '10.78.0.3')
    },
    stage => {
      const [a, b, far] = [stage.container('a'), stage.container('b'), outside(stage)]
      const half = (dev: string, peer: string, address: string, stateDir: string) => {
        const ipam = { type: 'static', addresses: [{ address }] }
        return vxlan(stage, { dev, peers: [peer], isGateway: false, ipam, stateDir })
      }
      attach(stage, a, 'a', half('uplink', '192.0.2.1', '10.78.0.2/16', '/run/patchbay/near'))
      far.inside(() => attach(stage, b, 'b', half('wire', '192.0.2.2', '10.78.0.3/16', '/run/patchbay/far')))
      return between(a, b, '10.78.0.3')
    }
  )
}

export const PATHS: readonly PathScenario[] = [BRIDGE, PORTMAP, MACVLAN, VXLAN, PORTMAP_AMONG_OTHERS, SERVICE]
