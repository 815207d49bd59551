/** For black-box tests that hold an attachment of ours against one of the reference plugins: what both have alike. */
import { inWorld, type Parsed, type World } from './world.ts'

/** A host with an interface `up0` to the outside. */
export async function inHostWithUplink(
  containers: number,
  body: (world: World) => void | Promise<void>
): Promise<void> {
  await inWorld(containers, async world => {
    world.sh(world.host, 'ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1')
    world.sh(world.host, 'ip', 'link', 'set', 'up0', 'up')
    world.sh(world.host, 'ip', 'link', 'set', 'up1', 'up')
    await body(world)
  })
}

/** `ipam` of a network with addresses of each of the subnets, and default routes. */
export function hostLocalIpam(world: World, ...subnets: readonly string[]): object {
  return {
    type: 'host-local',
    dataDir: world.dataDir,
    ranges: subnets.map(subnet => [{ subnet }]),
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
  }
}

export function linkNamesIn(world: World, index = 0): readonly string[] {
  return world.ip(world.container(index), 'link').map((one: Parsed) => one.ifname)
}

/** Without what differs between a network's first two attachments: host's ends, MACs, namespaces, last digits of addresses. */
export function comparable(value: Parsed): Parsed {
  const text = JSON.stringify(value)
    .replace(/veth[0-9a-f]+/g, 'veth')
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'mac')
    .replace(/\/proc\/\d+/g, '/proc/N')
    .replace(/\b(\d+\.\d+\.\d+)\.[23]\b/g, '$1.x')
    .replace(/::[23]\b/g, '::x')
  return JSON.parse(text)
}
