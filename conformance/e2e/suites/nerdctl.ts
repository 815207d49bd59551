/** nerdctl's calls for containers of a real containerd. */
import { equal, match, ok, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from '../command.ts'
import { Containerd } from '../containerd.ts'
import {
  CONF_DIR,
  configure,
  HOST_IPV4,
  installPlugins,
  OUTSIDE,
  OUTSIDE_IPV4,
  shippedConfig,
  UPLINK
} from '../host.ts'
import { IMAGE } from '../image.ts'
import { resolvConfMount, withAgent } from '../names-agent.ts'
import { bridgeNetwork, type Conflist, macvlanNetwork, Nerdctl, type RunOptions } from '../nerdctl.ts'
import { HERE, pings, who } from '../reach.ts'
import { type Case, expectNone, type Suite } from '../suite.ts'
import { left, rulesNaming } from '../traces.ts'

const DEFAULT = 'bridge'

export const nerdctlSuite: Suite = {
  name: 'nerdctl',
  needs: ['containerd', 'runc'],
  sets: ['native', 'node'],
  prepare: async set => {
    installPlugins(set)
    configure(`nerdctl-${DEFAULT}.conflist`, shippedConfig('nerdctl.conflist'))
    const containerd = new Containerd('containerd-1')
    await containerd.start()
    containerd.loadImages('default')
    const lab = new Lab(containerd, new Nerdctl())
    return {
      cases: casesOf(lab),
      warmUp: () => lab.with([DEFAULT], { ports: [port(8079)] }, () => undefined),
      close: () => containerd.stop('SIGTERM'),
      log: () => containerd.log()
    }
  }
}

interface Container {
  readonly name: string
  /** As plugins get it: nerdctl puts the containerd namespace before it. */
  readonly id: string
  readonly pid: number
  readonly netns: string
  /** One of each network, without the length. */
  readonly addresses: readonly string[]
}

interface Result {
  readonly ips: readonly { readonly address: string }[]
}

class Lab {
  readonly containerd: Containerd
  readonly nerdctl: Nerdctl
  #containers = 0

  constructor(containerd: Containerd, nerdctl: Nerdctl) {
    this.containerd = containerd
    this.nerdctl = nerdctl
  }

  /** `nerdctl run -d`: the container is made, its hook attaches it, its server runs. */
  start(networks: readonly string[], options: RunOptions = {}): Container {
    this.#containers += 1
    const name = `n${this.#containers}`
    const pid = this.launch(name, options.dns)
    const id = `default-${name}`
    const results = this.nerdctl.attach(networks, id, pid, options) as unknown as readonly Result[]
    const addresses = results.flatMap(result => result.ips.map(ip => ip.address.replace(/\/.*/, '')))
    return { name, id, pid, netns: `/proc/${pid}/ns/net`, addresses }
  }

  /** @returns the process of a new container that has a network namespace and nothing in it */
  launch(name: string, dns?: string): number {
    const resolv = dns === undefined ? [] : ['--mount', resolvConfMount(dns)]
    const made = this.containerd.ctr(['run', '-d', '--env', `NAME=${name}`, ...resolv, IMAGE, name])
    if (made.status !== 0) throw new Error(`ctr run: ${made.stderr}`)
    const line = this.containerd
      .ctr(['task', 'ls'])
      .stdout.split('\n')
      .find(one => one.startsWith(`${name} `))
    return Number(line?.split(/ +/)[1])
  }

  /** Ends the container, without what its hooks would do. */
  kill(name: string): void {
    this.containerd.ctr(['task', 'kill', '-s', 'SIGKILL', name])
    const removed = this.containerd.ctr(['task', 'rm', '-f', name])
    if (removed.status !== 0 && !removed.stderr.includes('not found')) throw new Error(`ctr task rm: ${removed.stderr}`)
    this.containerd.ctr(['container', 'rm', name])
  }

  /** A container for `body`, stopped after it; it must have left nothing. */
  async with(networks: readonly string[], options: RunOptions, body: (container: Container) => unknown): Promise<void> {
    const container = this.start(networks, options)
    try {
      await until(`the server of ${container.name}`, 5000, () => who(container.netns, container.addresses[0] ?? '', 80))
      await body(container)
    } finally {
      this.kill(container.name)
      this.nerdctl.detach(networks, container.id, options)
    }
    const ids = [
      ...left().filter(line => line.includes(container.id)),
      ...rulesNaming([container.id, ...container.addresses])
    ]
    expectNone(ids)
  }

  async withNetwork(network: Conflist, body: () => unknown): Promise<void> {
    this.nerdctl.create(network)
    try {
      await body()
    } finally {
      this.nerdctl.remove(network.name)
    }
  }
}

function port(host: number, hostIP = '0.0.0.0') {
  return { HostPort: host, ContainerPort: 80, Protocol: 'tcp', HostIP: hostIP }
}

function casesOf(lab: Lab): readonly Case[] {
  return [
    { name: 'the shipped configuration is what nerdctl would write', body: shipped },
    { name: 'the firewall plugin is new enough for isolation', body: () => firewall(lab) },
    { name: 'two containers talk, and reach the other machine', body: () => talk(lab) },
    { name: 'a published port answers from everywhere', body: () => publish(lab) },
    { name: 'a port taken by another container is refused, and that one keeps working', body: () => taken(lab) },
    { name: 'the same container again after a crash: same name, no leftovers in its way', body: () => crash(lab) },
    { name: 'a chosen address and MAC', body: () => chosen(lab) },
    { name: 'two containers find each other by name', body: () => names(lab) },
    { name: 'networks are apart from each other', body: () => apart(lab) },
    { name: 'containers of one network are apart when it says so', body: () => isolated(lab) },
    { name: 'an internal network leads nowhere', body: () => internal(lab) },
    { name: 'reserved addresses: several ranges of one subnet', body: () => reserved(lab) },
    { name: 'a container on two networks', body: () => twoNetworks(lab) },
    { name: 'a macvlan network on the uplink', body: () => macvlan(lab) },
    {
      name: "a namespace that is nobody's any more is no error",
      body: () => lab.nerdctl.detach([DEFAULT], 'default-never')
    }
  ]
}

/** Our file for the default network against what `bridgeNetwork` writes for it. */
function shipped(): void {
  const { nerdctlLabels: _, ...written } = JSON.parse(
    readFileSync(join(CONF_DIR, `nerdctl-${DEFAULT}.conflist`), 'utf8')
  )
  const ranges = [[{ subnet: '10.4.0.0/24', gateway: '10.4.0.1' }]]
  const { nerdctlLabels: __, ...expected } = JSON.parse(JSON.stringify(bridgeNetwork(DEFAULT, { ranges })))
  expected.plugins[0].bridge = 'nerdctl0'
  // The keys in any order.
  equal(sorted(written), sorted(expected))
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, one) =>
    one !== null && typeof one === 'object' && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one
  )
}

function firewall(lab: Lab): void {
  const [major = 0, minor = 0, patch = 0] = lab.nerdctl.firewallVersion().split('.').map(Number)
  ok(major > 1 || (major === 1 && (minor > 7 || (minor === 7 && patch >= 1))), lab.nerdctl.firewallVersion())
}

async function talk(lab: Lab): Promise<void> {
  await lab.with([DEFAULT], {}, a =>
    lab.with([DEFAULT], {}, b => {
      const answer = who(a.netns, b.addresses[0] ?? '', 80)
      equal(answer?.name, b.name)
      equal(answer?.seenAs, a.addresses[0])
      ok(pings(a.netns, OUTSIDE_IPV4))
    })
  )
}

async function publish(lab: Lab): Promise<void> {
  await lab.with([DEFAULT], { ports: [port(8080), port(8081, '127.0.0.1')] }, server =>
    lab.with([DEFAULT], {}, other => {
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, server.name, 'from the other machine')
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.seenAs, OUTSIDE_IPV4, 'the source')
      equal(who(HERE, '127.0.0.1', 8080)?.name, server.name, 'from the host by 127.0.0.1')
      equal(who(HERE, '127.0.0.1', 8081)?.name, server.name, 'published on 127.0.0.1')
      equal(who(other.netns, HOST_IPV4, 8080)?.name, server.name, 'from another container')
      equal(who(server.netns, HOST_IPV4, 8080)?.name, server.name, 'from itself')
      equal(who(OUTSIDE, HOST_IPV4, 8081), undefined, 'published on 127.0.0.1 only')
    })
  )
}

async function taken(lab: Lab): Promise<void> {
  await lab.with([DEFAULT], { ports: [port(8080)] }, server => {
    const before = left()
    const pid = lab.launch('late')
    try {
      throws(() => lab.nerdctl.attach([DEFAULT], 'default-late', pid, { ports: [port(8080)] }), /8080.*mapped already/s)
    } finally {
      lab.kill('late')
      lab.nerdctl.detach([DEFAULT], 'default-late', { ports: [port(8080)] })
    }
    expectNone(left().filter(line => !before.includes(line)))
    equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, server.name)
  })
}

/** The host or containerd died: no hook ran. The container is started again under its id. */
async function crash(lab: Lab): Promise<void> {
  const options = { ports: [port(8080)] }
  await lab.with([DEFAULT], options, async container => {
    lab.kill(container.name)
    const pid = lab.launch(container.name)
    lab.nerdctl.attach([DEFAULT], container.id, pid, options)
    await until('the port', 5000, () => who(OUTSIDE, HOST_IPV4, 8080))
  })
}

async function chosen(lab: Lab): Promise<void> {
  await lab.with([DEFAULT], { ip: '10.4.0.77', mac: '02:11:22:33:44:55' }, container => {
    equal(container.addresses[0], '10.4.0.77')
    match(run('nsenter', [`--net=${container.netns}`, 'ip', 'link', 'show', 'eth0']), /02:11:22:33:44:55/)
  })
}

async function apart(lab: Lab): Promise<void> {
  const other = bridgeNetwork('other', { ranges: [[{ subnet: '10.4.1.0/24', gateway: '10.4.1.1' }]] })
  await lab.withNetwork(other, () =>
    lab.with([DEFAULT], {}, a =>
      lab.with(['other'], { ports: [port(8080)] }, async b => {
        equal(who(a.netns, b.addresses[0] ?? '', 80), undefined, 'from the default network')
        equal(who(b.netns, a.addresses[0] ?? '', 80), undefined, 'to the default network')
        equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, b.name, 'a published port is open all the same')
        await lab.with(['other'], {}, c => equal(who(c.netns, b.addresses[0] ?? '', 80)?.name, b.name))
      })
    )
  )
}

async function isolated(lab: Lab): Promise<void> {
  const ranges = [[{ subnet: '10.4.2.0/24', gateway: '10.4.2.1' }]]
  await lab.withNetwork(bridgeNetwork('icc', { ranges, isolated: true }), () =>
    lab.with(['icc'], {}, a =>
      lab.with(['icc'], { ports: [port(8080)] }, b => {
        equal(who(a.netns, b.addresses[0] ?? '', 80), undefined)
        ok(pings(a.netns, OUTSIDE_IPV4), 'the other machine')
        equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, b.name)
      })
    )
  )
}

async function internal(lab: Lab): Promise<void> {
  const network = bridgeNetwork('inside', {
    ranges: [[{ subnet: '10.4.3.0/24', gateway: '10.4.3.1' }]],
    internal: true
  })
  await lab.withNetwork(network, () =>
    lab.with(['inside'], {}, a =>
      lab.with(['inside'], {}, b => {
        equal(who(a.netns, b.addresses[0] ?? '', 80)?.name, b.name)
        ok(!pings(a.netns, OUTSIDE_IPV4))
      })
    )
  )
}

/** `--aux-address` splits the subnet around the reserved address. */
async function reserved(lab: Lab): Promise<void> {
  const subnet = { subnet: '10.4.4.0/29', gateway: '10.4.4.1' }
  const set = [
    { ...subnet, rangeStart: '10.4.4.2', rangeEnd: '10.4.4.2' },
    { ...subnet, rangeStart: '10.4.4.4', rangeEnd: '10.4.4.6' }
  ]
  await lab.withNetwork(bridgeNetwork('aux', { ranges: [set] }), () =>
    lab.with(['aux'], {}, a =>
      lab.with(['aux'], {}, b =>
        lab.with(['aux'], {}, c =>
          lab.with(['aux'], {}, d => {
            const all = [a, b, c, d].map(one => one.addresses[0]).sort()
            equal(all.join(' '), '10.4.4.2 10.4.4.4 10.4.4.5 10.4.4.6')
            equal(who(a.netns, d.addresses[0] ?? '', 80)?.name, d.name)
          })
        )
      )
    )
  )
}

async function twoNetworks(lab: Lab): Promise<void> {
  const ranges = [[{ subnet: '10.4.5.0/24', gateway: '10.4.5.1' }], [{ subnet: 'fd50:6174:6368:5::/64' }]]
  await lab.withNetwork(bridgeNetwork('second', { ranges, ipv6: true }), () =>
    lab.with([DEFAULT, 'second'], {}, both =>
      lab.with(['second'], {}, other => {
        const [, four = '', six = ''] = both.addresses
        equal(who(other.netns, four, 80)?.name, both.name)
        equal(who(other.netns, six, 80)?.name, both.name)
      })
    )
  )
}

async function macvlan(lab: Lab): Promise<void> {
  const range = {
    subnet: '198.51.100.0/24',
    gateway: OUTSIDE_IPV4,
    rangeStart: '198.51.100.96',
    rangeEnd: '198.51.100.111'
  }
  await lab.withNetwork(macvlanNetwork('wire', UPLINK, [[range]]), () =>
    lab.with(['wire'], {}, container => equal(who(OUTSIDE, container.addresses[0] ?? '', 80)?.name, container.name))
  )
}

async function names(lab: Lab): Promise<void> {
  configure(`nerdctl-${DEFAULT}.conflist`, shippedConfig('nerdctl-names.conflist'))
  const ping = (from: Container, name: string): number =>
    lab.containerd.ctr(['task', 'exec', '--exec-id', 'ping', from.name, '/bin/ping', '-c1', '-W2', name]).status
  try {
    await withAgent(() =>
      lab.with([DEFAULT], { dns: '127.0.0.11' }, a =>
        lab.with([DEFAULT], { dns: '127.0.0.11' }, b => {
          // As nerdctl tells the plugins its host name: by an argument.
          equal(ping(b, a.id.slice(0, 12)), 0)
          equal(ping(a, b.id.slice(0, 12)), 0)
        })
      )
    )
  } finally {
    configure(`nerdctl-${DEFAULT}.conflist`, shippedConfig('nerdctl.conflist'))
  }
}
