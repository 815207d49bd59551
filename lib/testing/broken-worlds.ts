/** A host with a bridge and two containers, as it should be; and worlds in which something of it is broken. */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from './namespace.ts'
import { type Site, withSite } from './site.ts'
import { assert, type Suite } from './suite.ts'

/** A plugin that speaks CNI 1.0.0 and does nothing. */
export const PLUGIN = `#!/bin/sh
cat > /dev/null
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'
exit 0
`

/** A bridge with red and blue, the way it should be. */
export function wire(site: Site): void {
  const [red, blue] = [site.box(0), site.box(1)]
  site.ip(
    site.host,
    'link add patch0 type bridge',
    'addr add 10.77.0.1/24 dev patch0',
    'addr add fd77::1/64 dev patch0 nodad',
    'link set patch0 up',
    `link add vred type veth peer name eth0 netns ${String(red.pid)}`,
    `link add vblue type veth peer name eth0 netns ${String(blue.pid)}`,
    'link set vred master patch0 up',
    'link set vblue master patch0 up'
  )
  site.ip(red, 'addr add 10.77.0.2/24 dev eth0', 'addr add fd77::2/64 dev eth0 nodad', 'link set eth0 up')
  site.ip(blue, 'addr add 10.77.0.3/24 dev eth0', 'link set eth0 up')
  for (const box of [red, blue]) site.ip(box, 'route add default via 10.77.0.1')
  site.ip(red, 'route add default via fd77::1')
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) set(site, site.host, name, '1')
  for (const name of ['bridge', 'host-local', 'portmap', 'dns']) site.file(`bin/${name}`, PLUGIN, 0o755)
  network(site, 'web', {})
  attachment(site, 'web', 'c1', { box: red, ips: ['10.77.0.2/24', 'fd77::2/64'] })
  attachment(site, 'web', 'c2', { box: blue, ips: ['10.77.0.3/24'] })
}

export function set(site: Site, namespace: Namespace, sysctl: string, value: string): void {
  site.sh(namespace, `echo ${value} > /proc/sys/net/${sysctl}`)
}

interface Wanted {
  readonly file?: string
  readonly version?: string
  readonly subnet?: string
  readonly first?: string
  readonly more?: readonly object[]
}

export function network(site: Site, name: string, wanted: Wanted): void {
  const ipam = { type: 'host-local', subnet: wanted.subnet ?? '10.77.0.0/24', dataDir: join(site.directory, 'leases') }
  const first = { type: wanted.first ?? 'bridge', ipam }
  const content = { cniVersion: wanted.version ?? '1.0.0', name, plugins: [first, ...(wanted.more ?? [])] }
  site.file(`conf/${wanted.file ?? name}.conflist`, content)
}

interface Attached {
  /** undefined for one that is gone */
  readonly box: Namespace | undefined
  readonly ips: readonly string[]
  readonly ports?: readonly object[]
  /** eth0 when absent. */
  readonly ifName?: string
}

/** As libcni remembers it. */
export function attachment(site: Site, name: string, id: string, { box, ips, ports, ifName = 'eth0' }: Attached): void {
  site.file(`cache/results/${name}-${id}-${ifName}`, {
    kind: 'cniCacheV1',
    containerId: id,
    networkName: name,
    ifName,
    netns: box === undefined ? '/proc/4194304/ns/net' : box.path,
    config: Buffer.from(JSON.stringify({ cniVersion: '1.0.0', name, plugins: [{ type: 'bridge' }] })).toString(
      'base64'
    ),
    ...(ports === undefined ? {} : { capabilityArgs: { portMappings: ports } }),
    result: { cniVersion: '1.0.0', ips: ips.map(address => ({ address })) }
  })
}

export function netnsId(box: Namespace): string {
  const { dev, ino } = statSync(box.path)
  return `${String(dev)}:${String(ino)}`
}

export interface BrokenWorld {
  readonly name: string
  readonly check: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly breaks: (site: Site) => void | Promise<void>
  /** What the finding says, and what it shows. */
  readonly says: RegExp
  readonly shows: RegExp
  /** How a person mends it; 'fix' where --fix does. */
  readonly mends: ((site: Site) => void | Promise<void>) | 'fix'
}

/** What a check found: cli/doctor's, which this folder may not import. */
interface Found {
  readonly severity: string
  readonly what: string
  readonly evidence: readonly string[]
  readonly remedy: string
  readonly fix?: { readonly apply: () => void | Promise<void> }
}

/** Where the site has what checks look at. */
export function placesOf(site: Site) {
  const at = (name: string): string => join(site.directory, name)
  return {
    confDir: at('conf'),
    cacheDir: at('cache'),
    binDirs: [at('bin')],
    otherBinDirs: [at('other-bin')],
    stateDir: at('state'),
    agentConfig: at('agent.json'),
    agentSocket: at('agent.sock'),
    netns: site.host.path
  }
}

type Examine = (
  places: ReturnType<typeof placesOf>,
  checks: readonly string[],
  body: (found: readonly Found[]) => Promise<void>
) => Promise<void>

/** A test for each world: nothing is found, then it is broken and found, then mended and found no more. */
export function testWorlds(test: Suite, worlds: readonly BrokenWorld[], examine: Examine): void {
  for (const world of worlds) {
    test(`${world.check}: ${world.name}`, () =>
      withSite(2, async site => {
        mkdirSync(join(site.directory, 'state'))
        wire(site)
        const nothing = (when: string): Promise<void> =>
          examine(placesOf(site), [world.check], async found => assert.equal(found, [], when))
        await nothing('before')
        await world.breaks(site)
        await examine(placesOf(site), [world.check], found => judge(world, site, found))
        await nothing('once it is mended')
      }))
  }
}

async function judge(world: BrokenWorld, site: Site, found: readonly Found[]): Promise<void> {
  const one = found.find(candidate => world.says.test(candidate.what))
  if (one === undefined) throw new Error(`not found: ${JSON.stringify(found)}`)
  assert.is(one.severity, world.severity)
  assert.match(one.evidence.join('\n'), world.shows)
  assert.ok(one.remedy !== '', 'what to do is said')
  if (world.mends !== 'fix') await world.mends(site)
  else if (one.fix === undefined) throw new Error('nothing is offered that fixes it')
  else await one.fix.apply()
}
