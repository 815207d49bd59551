/** What a service's address costs a connection, beside the member's own address in the same container. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Chain } from './chain.ts'
import { COMMAND, NamesHost } from './names.ts'
import { BRIDGE_NEEDS, bridge, PATH, VERSION } from './networks.ts'
import type { PathScenario, Route } from './path.ts'
import { command, type Stage } from './scenario.ts'

const PORT = 80

/** Two containers of a network on which one of them is a service. @param isDirect connects to the member's own address */
function toService(stage: Stage, isDirect: boolean): Route {
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
  const service = (...args: readonly string[]): string =>
    command(COMMAND, 'service', ...args, '--agent-socket', host.socket)
  service('create', 'web', '--network', 'bench', '--alias', 'member')
  const [shown] = JSON.parse(service('inspect', 'web')) as readonly { readonly VirtualIPs: readonly string[] }[]
  const vip = shown?.VirtualIPs[0] ?? ''
  return { from: from.netns, to: to.netns, listen: [own, PORT], connect: [isDirect ? own : vip, PORT] }
}

export const SERVICE: PathScenario = {
  id: 'path-service',
  title: "a service's address, container to container",
  subjects: contestants =>
    contestants
      .filter(({ dir }) => [...BRIDGE_NEEDS, 'dns'].every(name => existsSync(join(dir, name))))
      .slice(0, 1)
      .flatMap(contestant => [
        { name: `${contestant.name}, its member`, contestant, build: (stage: Stage) => toService(stage, true) },
        { name: contestant.name, contestant, build: (stage: Stage) => toService(stage, false) }
      ])
}
