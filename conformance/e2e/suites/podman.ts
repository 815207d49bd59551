/** podman 4 with its CNI backend. */
import { equal, match, ok } from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { run, runIn, until } from '../command.ts'
import {
  BIN_DIR,
  CONF_DIR,
  configure,
  HOST_IPV4,
  HOST_IPV6,
  installPlugins,
  OUTSIDE,
  OUTSIDE_IPV4,
  shippedConfig
} from '../host.ts'
import { IMAGE, IMAGE_ARCHIVE } from '../image.ts'
import { withAgent } from '../names-agent.ts'
import { Podman } from '../podman.ts'
import { answerOf, askUdp, HERE, pings, serveUdp, who } from '../reach.ts'
import { type Case, expectNone, type Suite } from '../suite.ts'
import { left, processes, rulesNaming } from '../traces.ts'

export const podmanSuite: Suite = {
  name: 'podman',
  needs: ['podman', 'runc'],
  sets: ['native', 'node'],
  prepare: async set => {
    installPlugins(set)
    configure('87-podman.conflist', shippedConfig('podman.conflist'))
    const lab = new Lab(new Podman())
    lab.podman.run('load', '-i', IMAGE_ARCHIVE)
    return {
      cases: casesOf(lab),
      warmUp: () => {
        const flags = ['--subnet', '10.90.0.0/24', '--ipv6', '--subnet', 'fd50:6174:6368:90::/64']
        return lab.withNetwork('warm', flags, () => lab.with(['--network', 'warm', '-p', '8079:80'], () => undefined))
      },
      close: async () => {
        lab.podman.outcome('rm', '-f', '-a', '-t', '0')
        await until('conmon to end', 10_000, () => (processes().some(one => one.includes('conmon')) ? undefined : true))
      },
      log: () => ''
    }
  }
}

class Lab {
  readonly podman: Podman
  #containers = 0

  constructor(podman: Podman) {
    this.podman = podman
  }

  /** Starts a container with a web server. @returns its name */
  start(args: readonly string[]): string {
    this.#containers += 1
    const name = `c${this.#containers}`
    this.podman.run('run', '-d', '--name', name, '--hostname', name, ...args, IMAGE)
    return name
  }

  netns(name: string): string {
    return this.podman.inspect(name).NetworkSettings.SandboxKey
  }

  address(name: string, network = 'podman'): string {
    return this.podman.inspect(name).NetworkSettings.Networks[network]?.IPAddress ?? ''
  }

  /** A container for `body`, removed after it; it must have left nothing. */
  async with(args: readonly string[], body: (name: string) => unknown): Promise<void> {
    const name = this.start(args)
    const id = this.podman.run('inspect', '--format', '{{.Id}}', name)
    const addresses = Object.values(this.podman.inspect(name).NetworkSettings.Networks).map(one => one.IPAddress)
    try {
      await until(`the server of ${name}`, 10_000, () => who(this.netns(name), '127.0.0.1', 80))
      await body(name)
    } finally {
      this.podman.run('rm', '-f', '-t', '0', name)
    }
    expectNone([
      ...left().filter(line => line.includes(id)),
      ...rulesNaming([id, ...addresses.filter(one => one !== '')])
    ])
  }

  /** A network for `body`, removed after it. */
  async withNetwork(name: string, args: readonly string[], body: () => unknown): Promise<void> {
    this.podman.run('network', 'create', ...args, name)
    try {
      await body()
    } finally {
      this.podman.run('network', 'rm', '-f', name)
    }
    ok(!existsSync(join(CONF_DIR, `${name}.conflist`)), 'its configuration is gone')
  }
}

function casesOf(lab: Lab): readonly Case[] {
  const { podman } = lab
  return [
    {
      name: 'a container has the address that podman reports, and reaches the other machine',
      body: () => address(lab)
    },
    { name: 'two containers talk', body: () => talk(lab) },
    { name: 'a published port answers from everywhere', body: () => publish(lab) },
    { name: 'a published UDP port, and a range of ports', body: () => publishMore(lab) },
    { name: 'a chosen address and MAC', body: () => chosen(lab) },
    { name: "a network of one's own, with IPv6", body: () => ownNetwork(lab) },
    { name: 'an internal network leads nowhere', body: () => internal(lab) },
    { name: 'a container on two networks', body: () => twoNetworks(lab) },
    { name: 'connect and disconnect while it runs', body: () => connect(lab) },
    { name: 'a macvlan network on the uplink', body: () => macvlan(lab) },
    { name: 'stop and start: the ports work again', body: () => restart(lab) },
    { name: 'a container killed under podman is cleaned up', body: () => killed(lab) },
    { name: 'four containers at once', body: () => together(lab) },
    { name: "two containers find each other by name on podman's own kind of network", body: () => dnsname(lab) },
    { name: 'and on the shipped network with names', body: () => names(lab) },
    { name: 'networks are listed and inspected', body: () => match(podman.run('network', 'ls'), /\bpodman\b/) }
  ]
}

async function address(lab: Lab): Promise<void> {
  await lab.with([], name => {
    const own = lab.address(name)
    match(own, /^10\.88\.\d+\.\d+$/)
    match(lab.podman.run('exec', name, 'ip', '-o', 'addr', 'show', 'dev', 'eth0'), new RegExp(` ${own}/16 `))
    ok(pings(lab.netns(name), OUTSIDE_IPV4))
  })
}

async function talk(lab: Lab): Promise<void> {
  await lab.with([], a =>
    lab.with([], b => {
      const text = lab.podman.run('exec', a, 'wget', '-qO-', `http://${lab.address(b)}/cgi-bin/who`)
      equal(answerOf(text)?.name, b)
      equal(answerOf(text)?.seenAs, lab.address(a))
    })
  )
}

async function publish(lab: Lab): Promise<void> {
  await lab.with(['-p', '8080:80', '-p', '127.0.0.1:8081:80'], server =>
    lab.with([], other => {
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, server, 'from the other machine')
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.seenAs, OUTSIDE_IPV4, 'the source')
      equal(who(HERE, '127.0.0.1', 8080)?.name, server, 'from the host by 127.0.0.1')
      equal(who(HERE, HOST_IPV4, 8080)?.name, server, 'from the host by its address')
      equal(who(lab.netns(other), HOST_IPV4, 8080)?.name, server, 'from another container')
      equal(who(lab.netns(other), '10.88.0.1', 8080)?.name, server, 'from another container by the gateway')
      equal(who(lab.netns(server), HOST_IPV4, 8080)?.name, server, 'from itself')
      equal(who(HERE, '127.0.0.1', 8081)?.name, server, 'published on 127.0.0.1')
      equal(who(OUTSIDE, HOST_IPV4, 8081), undefined, 'published on 127.0.0.1 only')
    })
  )
}

async function publishMore(lab: Lab): Promise<void> {
  await lab.with(['-p', '5353:53/udp', '-p', '9000-9003:80-83'], async name => {
    const server = await serveUdp(lab.netns(name), name, 53)
    try {
      equal(askUdp(OUTSIDE, HOST_IPV4, 5353).split(' ')[0], name)
    } finally {
      server.kill('SIGKILL')
    }
    equal(who(OUTSIDE, HOST_IPV4, 9000)?.name, name)
  })
}

async function chosen(lab: Lab): Promise<void> {
  await lab.with(['--ip', '10.88.7.7', '--mac-address', '02:11:22:33:44:55'], name => {
    equal(lab.address(name), '10.88.7.7')
    match(lab.podman.run('exec', name, 'ip', 'link', 'show', 'eth0'), /02:11:22:33:44:55/)
  })
}

async function ownNetwork(lab: Lab): Promise<void> {
  const flags = ['--subnet', '10.91.0.0/24', '--ipv6', '--subnet', 'fd50:6174:6368:91::/64']
  await lab.withNetwork('own', flags, () =>
    lab.with(['--network', 'own', '-p', '8080:80'], a =>
      lab.with(['--network', 'own'], b => {
        const six = lab.podman.inspect(b).NetworkSettings.Networks['own']?.GlobalIPv6Address ?? ''
        equal(who(lab.netns(a), six, 80)?.name, b)
        equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, a)
        equal(who(OUTSIDE, HOST_IPV6, 8080)?.name, a)
      })
    )
  )
}

async function internal(lab: Lab): Promise<void> {
  await lab.withNetwork('inside', ['--internal', '--subnet', '10.92.0.0/24'], () =>
    lab.with(['--network', 'inside'], a =>
      lab.with(['--network', 'inside'], b => {
        equal(who(lab.netns(a), lab.address(b, 'inside'), 80)?.name, b)
        ok(!pings(lab.netns(a), OUTSIDE_IPV4))
      })
    )
  )
}

async function twoNetworks(lab: Lab): Promise<void> {
  await lab.withNetwork('second', ['--subnet', '10.93.0.0/24'], () =>
    lab.with(['--network', 'podman', '--network', 'second', '-p', '8080:80'], both =>
      lab.with(['--network', 'second'], other => {
        const shown = lab.podman.run('exec', both, 'ip', '-o', '-4', 'addr')
        ok(shown.includes(lab.address(both)) && shown.includes(lab.address(both, 'second')), shown)
        equal(who(lab.netns(other), lab.address(both, 'second'), 80)?.name, both)
        // podman asks for the port on each of the networks.
        equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, both)
      })
    )
  )
}

async function connect(lab: Lab): Promise<void> {
  await lab.withNetwork('later', ['--subnet', '10.94.0.0/24'], () =>
    lab.with([], name => {
      lab.podman.run('network', 'connect', 'later', name)
      const address = lab.address(name, 'later')
      match(address, /^10\.94\.0\./)
      equal(who(HERE, address, 80)?.name, name)
      lab.podman.run('network', 'disconnect', 'later', name)
      equal(who(HERE, address, 80), undefined)
      equal(who(HERE, lab.address(name), 80)?.name, name)
    })
  )
}

async function macvlan(lab: Lab): Promise<void> {
  const flags = ['-d', 'macvlan', '-o', 'parent=uplink', '--subnet', '198.51.100.0/24', '--gateway', OUTSIDE_IPV4]
  await lab.withNetwork('wire', [...flags, '--ip-range', '198.51.100.64/27'], () =>
    lab.with(['--network', 'wire'], name => {
      equal(who(OUTSIDE, lab.address(name, 'wire'), 80)?.name, name)
    })
  )
}

async function restart(lab: Lab): Promise<void> {
  await lab.with(['-p', '8080:80'], async name => {
    const before = lab.address(name)
    lab.podman.run('stop', '-t', '0', name)
    expectNone([...left(), ...rulesNaming([before])])
    equal(who(OUTSIDE, HOST_IPV4, 8080), undefined)
    lab.podman.run('start', name)
    await until('the port', 5000, () => who(OUTSIDE, HOST_IPV4, 8080))
  })
}

async function killed(lab: Lab): Promise<void> {
  await lab.with(['-p', '8080:80'], async name => {
    process.kill(lab.podman.inspect(name).State.Pid, 'SIGKILL')
    await until('podman to notice', 10_000, () => (lab.podman.inspect(name).State.Running ? undefined : true))
    // conmon does this too, about ten seconds later.
    lab.podman.run('container', 'cleanup', name)
    expectNone(left())
    equal(who(OUTSIDE, HOST_IPV4, 8080), undefined)
  })
}

async function together(lab: Lab): Promise<void> {
  const names = ['t1', 't2', 't3', 't4']
  const script = names.map(name => `podman run -d --name ${name} --hostname ${name} ${IMAGE} >/dev/null & `).join('')
  run('sh', ['-c', `${script} wait`])
  try {
    const addresses = names.map(name => lab.address(name))
    equal(new Set(addresses).size, names.length, addresses.join(' '))
    for (const [index, own] of addresses.entries())
      equal(runIn(HERE, 'ping', ['-c1', '-W1', own]).status, 0, String(names[index]))
  } finally {
    lab.podman.run('rm', '-f', '-t', '0', ...names)
  }
}

/** Both ways, by name and by alias. */
function findEachOther(lab: Lab, network: string): Promise<void> {
  // Only who may send raw packets pings.
  const flags = ['--network', network, '--cap-add', 'NET_RAW']
  return withAgent(() =>
    lab.with([...flags, '--network-alias', 'ubuntu2'], a =>
      lab.with([...flags, '--network-alias', 'ubuntu3'], b => {
        for (const name of [a, 'ubuntu2']) lab.podman.run('exec', b, 'ping', '-c1', '-W2', name)
        for (const name of [b, 'ubuntu3']) lab.podman.run('exec', a, 'ping', '-c1', '-W2', name)
      })
    )
  )
}

/** podman puts dnsname into each network that it makes when it finds the plugin: that file works unchanged. */
async function dnsname(lab: Lab): Promise<void> {
  const link = join(BIN_DIR, 'dnsname')
  symlinkSync('dns', link)
  try {
    await lab.withNetwork('story', ['--subnet', '10.95.0.0/24'], async () => {
      match(readFileSync(join(CONF_DIR, 'story.conflist'), 'utf8'), /"type": "dnsname",\s+"domainName": "dns\.podman"/)
      await findEachOther(lab, 'story')
    })
  } finally {
    rmSync(link)
  }
}

async function names(lab: Lab): Promise<void> {
  configure('87-podman.conflist', shippedConfig('podman-names.conflist'))
  try {
    await findEachOther(lab, 'podman')
  } finally {
    configure('87-podman.conflist', shippedConfig('podman.conflist'))
  }
}
