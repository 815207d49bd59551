/**
 * What a service's address costs a connection, beside the member's own address in the same container; and, as the floor, what one rule
 * of nft costs that translates a single address and does nothing else.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Chain } from './chain.ts'
import { COMMAND, NamesHost } from './names.ts'
import { BRIDGE_NEEDS, bridge, PATH, VERSION } from './networks.ts'
import type { PathScenario, Route } from './path.ts'
import { command, line, type Stage } from './scenario.ts'

const PORT = 80

/** By which address the client gets to the member. */
type Way = 'its own' | 'one rule' | 'service'

/** As a service of the network would have it. */
const FLOOR_ADDRESS = '10.77.255.254'

/** Two containers of a network, of which one is a service. */
function toMember(stage: Stage, way: Way): Route {
  const host = new NamesHost(stage)
  const plugins = [bridge(stage), host.plugin]
  mkdirSync(host.confDir, { recursive: true })
  writeFileSync(join(host.confDir, 'bench.conflist'), JSON.stringify({ cniVersion: VERSION, name: 'bench', plugins }))
  const [from, to] = ['client', 'member'].map(name => {
    const cniArgs = `IgnoreUnknown=1;K8S_POD_NAME=${name}`
    const chain = new Chain(stage.contestant.dir, {
      name: 'bench',
      cniVersion: VERSION,
      plugins,
      env: { PATH },
      cniArgs
    })
    const netns = stage.container(name)
    chain.add({ containerId: name, ifName: 'eth0', netns })
    return { netns, ips: chain.result?.['ips'] as readonly { readonly address: string }[] }
  })
  if (from === undefined || to === undefined) throw new Error('two containers')
  const own = to.ips[0]?.address.replace(/\/.*/, '') ?? ''
  const route = { from: from.netns, to: to.netns, listen: [own, PORT] as const }
  if (way === 'one rule') {
    from.netns.inside(() => translateByOneRule(own))
    return { ...route, connect: [FLOOR_ADDRESS, PORT] }
  }
  const service = (...args: readonly string[]): string =>
    command(COMMAND, 'service', ...args, '--agent-socket', host.socket)
  service('create', 'web', '--network', 'bench', '--alias', 'member')
  const [shown] = JSON.parse(service('inspect', 'web')) as readonly { readonly VirtualIPs: readonly string[] }[]
  const vip = shown?.VirtualIPs[0] ?? ''
  return { ...route, connect: [way === 'service' ? vip : own, PORT] }
}

/** In the namespace that this thread is in. */
function translateByOneRule(member: string): void {
  line('nft add table ip floor')
  command('nft', 'add chain ip floor out { type nat hook output priority -100; }')
  line(`nft add rule ip floor out ip daddr ${FLOOR_ADDRESS} dnat to ${member}`)
}

export const SERVICE: PathScenario = {
  id: 'path-service',
  title: "a service's address, container to container",
  subjects: contestants =>
    contestants
      .filter(({ dir }) => [...BRIDGE_NEEDS, 'dns'].every(name => existsSync(join(dir, name))))
      .slice(0, 1)
      .flatMap(contestant => [
        { name: `${contestant.name}, its member`, contestant, build: (stage: Stage) => toMember(stage, 'its own') },
        { name: 'one rule of nft', contestant, build: (stage: Stage) => toMember(stage, 'one rule') },
        { name: contestant.name, contestant, build: (stage: Stage) => toMember(stage, 'service') }
      ])
}
