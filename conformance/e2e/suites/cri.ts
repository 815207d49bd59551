/** containerd as the kubelet uses it: pods over CRI. */
import { equal, ok } from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Netmask } from 'netmask'
import { unmount } from '../../libc.ts'
import { run, until } from '../command.ts'
import { Containerd, type Generation } from '../containerd.ts'
import { Cri, type Pod, type PodOptions } from '../cri.ts'
import {
  BIN_DIR,
  configure,
  HOST_IPV4,
  HOST_IPV6,
  installPlugins,
  OUTSIDE,
  OUTSIDE_IPV4,
  OUTSIDE_IPV6,
  type PluginSet,
  shippedConfig,
  unconfigure
} from '../host.ts'
import { withAgent } from '../names-agent.ts'
import { answerOf, askUdp, authority, HERE, pings, serveUdp, who } from '../reach.ts'
import { type Case, expectNone, type Suite } from '../suite.ts'
import { left, processes, rulesNaming } from '../traces.ts'

const FILE = '10-patchbay.conflist'

/** @param shipped the file of docs/runtimes that is used, as it is */
export function criSuite(generation: Generation, shipped: string, sets: readonly PluginSet[]): Suite {
  return {
    name: `cri ${generation} ${shipped.replace('.conflist', '')}`,
    needs: generation === 'containerd-1' ? ['containerd', 'runc'] : ['runc', 'containerd-2'],
    sets,
    prepare: async set => {
      installPlugins(set)
      configure(FILE, shippedConfig(shipped))
      const containerd = new Containerd(generation)
      await containerd.start()
      containerd.loadImages('k8s.io')
      const cri = new Cri(containerd.socket)
      await cri.ready()
      await until('the network', 5000, async () => ((await cri.networkCondition()).status ? true : undefined))
      const lab = new Lab(containerd, cri, shipped)
      return {
        cases: casesOf(lab, generation, set),
        warmUp: () => lab.withPods(1, { ports: [{ container_port: 80, host_port: 8079 }] }, () => undefined),
        close: async () => {
          for (const pod of await cri.list()) await cri.remove(pod).catch(() => undefined)
          const isEmpty = (await cri.list()).length === 0
          cri.close()
          await containerd.stop('SIGTERM')
          if (isEmpty) endForgottenShims()
        },
        log: () => containerd.log()
      }
    }
  }
}

/** The runtime, and pods that are gone again after use. */
class Lab {
  readonly containerd: Containerd
  readonly cri: Cri
  readonly shipped: string

  constructor(containerd: Containerd, cri: Cri, shipped: string) {
    this.containerd = containerd
    this.cri = cri
    this.shipped = shipped
  }

  /** Runs pods side by side; after `body` they are removed and must have left nothing. */
  async withPods(count: number, options: PodOptions, body: (...pods: Pod[]) => unknown): Promise<void> {
    const pods = await Promise.all(Array.from({ length: count }, () => this.cri.run('pod', options)))
    try {
      await body(...pods)
    } finally {
      await Promise.all(pods.map(pod => this.cri.remove(pod)))
    }
    expectNone(tracesOf(...pods))
  }
}

/** containerd 2.1 now and then forgets the shim of a sandbox that died under it. That is no matter of networks. */
function endForgottenShims(): void {
  for (const line of processes().filter(one => one.includes('containerd-shim'))) {
    process.kill(Number(line.split(' ')[1]), 'SIGKILL')
  }
}

/** What there still is of these pods. */
function tracesOf(...pods: readonly Pod[]): readonly string[] {
  const leases = left().filter(line => pods.some(pod => pod.addresses.some(address => line.endsWith(`/${address}`))))
  const records = left().filter(line => pods.some(pod => line.includes(pod.id)))
  return [...leases, ...records, ...rulesNaming(pods.flatMap(pod => [pod.id, ...pod.addresses]))]
}

/** Links of the host that lead into pods. */
function vethCount(): number {
  const links: readonly { readonly ifname: string }[] = JSON.parse(run('ip', ['-j', 'link', 'show', 'type', 'veth']))
  return links.length - 1
}

function casesOf(lab: Lab, generation: Generation, set: PluginSet): readonly Case[] {
  const { cri } = lab
  const cases: Case[] = [
    {
      name: 'a pod has the addresses that the runtime reports, IPv4 and IPv6',
      body: () => lab.withPods(1, {}, addressesAgree)
    },
    { name: 'pods talk to each other, and to the other machine as the host', body: () => lab.withPods(2, {}, talk) },
    { name: 'a published port answers from everywhere', body: () => publish(lab) },
    { name: 'a published UDP port answers', body: () => publishUdp(lab) },
    { name: 'a port published on one address answers on that one', body: () => publishOnOne(lab) },
    { name: 'bandwidth annotations become limits', body: () => limit(lab) },
    { name: "a pod on the host's network has no interface of its own", body: () => hostNetwork(lab) },
    { name: 'stopping twice is no error', body: () => stopTwice(lab) },
    { name: 'a pod killed under the runtime is cleaned up', body: () => killedPod(lab) },
    { name: 'a pod whose namespace vanished is cleaned up', body: () => vanishedNamespace(lab) },
    { name: 'pods outlive a killed containerd', body: () => restart(lab) },
    { name: 'eight pods at once', body: () => lab.withPods(8, {}, manyAtOnce) },
    { name: 'a pod that cannot be wired leaves nothing', body: () => failing(lab) },
    { name: 'without a configuration the network is not ready', body: () => unconfigured(lab) }
  ]
  if (generation === 'containerd-1' && set !== 'reference') {
    cases.push({ name: 'pods find each other by name', body: () => names(lab) })
  }
  // containerd 1 knows no STATUS, and of the reference plugins only host-local does anything at it.
  if (generation === 'containerd-2' && set !== 'reference') {
    cases.push({ name: 'when STATUS fails the network is not ready', body: () => statusFails(lab) })
  }
  return cases

  async function addressesAgree(pod: Pod): Promise<void> {
    equal(pod.addresses.length, 2)
    const shown = await cri.exec(pod, 'ip', '-o', 'addr', 'show', 'dev', 'eth0')
    for (const address of pod.addresses) ok(shown.includes(` ${address}/`), `${address} is not in\n${shown}`)
  }

  async function talk(a: Pod, b: Pod): Promise<void> {
    for (const [index, address] of b.addresses.entries()) {
      const text = await cri.exec(a, 'wget', '-qO-', `http://${authority(address, 80)}/cgi-bin/who`)
      equal(answerOf(text)?.seenAs, a.addresses[index])
    }
    ok(pings(a.netns, OUTSIDE_IPV4), 'IPv4 to the other machine')
    ok(pings(a.netns, OUTSIDE_IPV6), 'IPv6 to the other machine')
  }
}

async function publish(lab: Lab): Promise<void> {
  await lab.withPods(1, { ports: [{ container_port: 80, host_port: 8080 }] }, server =>
    lab.withPods(1, {}, other => {
      const name = server.name
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, name, 'from the other machine over IPv4')
      equal(who(OUTSIDE, HOST_IPV4, 8080)?.seenAs, OUTSIDE_IPV4, 'the source over IPv4')
      equal(who(OUTSIDE, HOST_IPV6, 8080)?.name, name, 'from the other machine over IPv6')
      equal(who(OUTSIDE, HOST_IPV6, 8080)?.seenAs, OUTSIDE_IPV6, 'the source over IPv6')
      equal(who(HERE, '127.0.0.1', 8080)?.name, name, 'from the host by 127.0.0.1')
      equal(who(HERE, HOST_IPV4, 8080)?.name, name, 'from the host by its address')
      equal(who(other.netns, HOST_IPV4, 8080)?.name, name, 'from another pod')
      equal(who(other.netns, HOST_IPV6, 8080)?.name, name, 'from another pod over IPv6')
      equal(who(server.netns, HOST_IPV4, 8080)?.name, name, 'from the pod itself')
    })
  )
  equal(who(OUTSIDE, HOST_IPV4, 8080), undefined, 'after the pod is gone')
}

async function publishUdp(lab: Lab): Promise<void> {
  const ports = [{ protocol: 'UDP' as const, container_port: 53, host_port: 5353 }]
  for (const round of ['first', 'second']) {
    // The second pod's datagrams come from the same source: a remembered connection would lead to the first one.
    await lab.withPods(1, { ports }, async pod => {
      const server = await serveUdp(pod.netns, pod.name, 53)
      try {
        for (const address of [HOST_IPV4, HOST_IPV6]) {
          const [name] = askUdp(OUTSIDE, address, 5353).split(' ')
          equal(name, pod.name, `${round} pod at ${address}`)
        }
      } finally {
        server.kill('SIGKILL')
      }
    })
  }
}

async function publishOnOne(lab: Lab): Promise<void> {
  await lab.withPods(1, { ports: [{ container_port: 80, host_port: 8081, host_ip: HOST_IPV4 }] }, pod => {
    equal(who(OUTSIDE, HOST_IPV4, 8081)?.name, pod.name)
    equal(who(HERE, '127.0.0.1', 8081), undefined, 'by 127.0.0.1')
    equal(who(OUTSIDE, HOST_IPV6, 8081), undefined, 'by IPv6')
  })
}

async function limit(lab: Lab): Promise<void> {
  const annotations = { 'kubernetes.io/ingress-bandwidth': '8M', 'kubernetes.io/egress-bandwidth': '16M' }
  await lab.withPods(1, { annotations }, () => {
    const rates = [...run('tc', ['qdisc', 'show']).matchAll(/qdisc tbf .* rate (\S+)/g)].map(match => match[1]).sort()
    equal(rates.join(' '), '16Mbit 8Mbit')
  })
  ok(!run('tc', ['qdisc', 'show']).includes('tbf'), 'the limits are gone')
}

async function hostNetwork(lab: Lab): Promise<void> {
  const before = vethCount()
  await lab.withPods(1, { hostNetwork: true, empty: true }, () => equal(vethCount(), before))
}

async function stopTwice(lab: Lab): Promise<void> {
  await lab.withPods(1, {}, async pod => {
    await lab.cri.stop(pod)
    expectNone(tracesOf(pod))
    await lab.cri.stop(pod)
    equal((await lab.cri.status(pod.id)).ready, false)
  })
}

async function killedPod(lab: Lab): Promise<void> {
  await lab.withPods(1, { ports: [{ container_port: 80, host_port: 8080 }] }, async pod => {
    process.kill(pod.pid, 'SIGKILL')
    await until('the runtime to notice', 10_000, async () => ((await lab.cri.status(pod.id)).ready ? undefined : true))
    await lab.cri.stop(pod)
    expectNone(tracesOf(pod))
  })
}

async function vanishedNamespace(lab: Lab): Promise<void> {
  await lab.withPods(1, { ports: [{ container_port: 80, host_port: 8080 }] }, async pod => {
    process.kill(pod.pid, 'SIGKILL')
    unmount(pod.netns)
    rmSync(pod.netns)
    await until('the runtime to notice', 10_000, async () => ((await lab.cri.status(pod.id)).ready ? undefined : true))
    await lab.cri.stop(pod)
    expectNone(tracesOf(pod))
    equal(who(OUTSIDE, HOST_IPV4, 8080), undefined)
  })
}

async function restart(lab: Lab): Promise<void> {
  await lab.withPods(1, { ports: [{ container_port: 80, host_port: 8080 }] }, async pod => {
    await lab.containerd.stop('SIGKILL')
    equal(who(OUTSIDE, HOST_IPV4, 8080)?.name, pod.name, 'while containerd is down')
    await lab.containerd.start()
    await lab.cri.ready()
    equal((await lab.cri.status(pod.id)).addresses.join(' '), pod.addresses.join(' '))
    await lab.withPods(1, {}, other => equal(who(other.netns, pod.addresses[0] ?? '', 80)?.name, pod.name))
  })
}

async function manyAtOnce(...pods: readonly Pod[]): Promise<void> {
  const addresses = pods.flatMap(pod => pod.addresses)
  equal(new Set(addresses).size, pods.length * 2, `each address once: ${addresses.join(' ')}`)
  for (const pod of pods) equal(who(HERE, pod.addresses[0] ?? '', 80)?.name, pod.name)
}

/** The last plugin of a chain fails: what the first ones made must be undone. */
const FAILING_PLUGIN = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion":"1.0.0","code":999,"msg":"fails on purpose"}'
exit 1
`

async function failing(lab: Lab): Promise<void> {
  const before = left()
  const program = join(BIN_DIR, 'failing')
  writeFileSync(program, FAILING_PLUGIN, { mode: 0o755 })
  const config = JSON.parse(shippedConfig(lab.shipped)) as { plugins: object[] }
  config.plugins.push({ type: 'failing' })
  configure(FILE, JSON.stringify(config))
  try {
    const problem = await until('the changed configuration', 10_000, async () => {
      try {
        await lab.cri.remove(await lab.cri.run('failing', { empty: true }))
        return undefined
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    })
    ok(problem.includes('fails on purpose'), problem)
    for (const pod of await lab.cri.list()) await lab.cri.remove(pod)
    expectNone(left().filter(line => !before.includes(line)))
  } finally {
    await restoreConfig(lab)
    rmSync(program)
  }
}

/** Puts the shipped configuration back, and waits until the runtime uses it. */
async function restoreConfig(lab: Lab): Promise<void> {
  const { plugins } = JSON.parse(shippedConfig(lab.shipped)) as {
    plugins: readonly { ipam?: { ranges: readonly (readonly { subnet: string }[])[] } }[]
  }
  const subnet = plugins[0]?.ipam?.ranges[0]?.[0]?.subnet ?? ''
  configure(FILE, shippedConfig(lab.shipped))
  await until('the shipped configuration', 10_000, async () => {
    let address = ''
    const used = await lab
      .withPods(1, { empty: true }, pod => {
        address = pod.addresses[0] ?? ''
      })
      .then(
        () => true,
        () => false
      )
    return used && new Netmask(subnet).contains(address) ? true : undefined
  })
}

async function unconfigured(lab: Lab): Promise<void> {
  unconfigure(FILE)
  try {
    await until('NetworkReady=false', 10_000, async () =>
      (await lab.cri.networkCondition()).status ? undefined : true
    )
  } finally {
    configure(FILE, shippedConfig(lab.shipped))
  }
  await until('NetworkReady=true', 10_000, async () => ((await lab.cri.networkCondition()).status ? true : undefined))
}

/** A pool of one address: taken, the next ADD would fail, and STATUS says so beforehand. */
async function statusFails(lab: Lab): Promise<void> {
  const small = {
    cniVersion: '1.1.0',
    name: 'small',
    plugins: [
      {
        type: 'bridge',
        bridge: 'small0',
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.99.0.0/24', rangeStart: '10.99.0.9', rangeEnd: '10.99.0.9' }]]
        }
      }
    ]
  }
  configure(FILE, JSON.stringify(small))
  try {
    const pod = await until('the small network', 10_000, async () => {
      const one = await lab.cri.run('small', { empty: true })
      if (one.addresses[0] === '10.99.0.9') return one
      await lab.cri.remove(one)
      return undefined
    })
    const condition = await until('NetworkReady=false', 5000, async () => {
      const one = await lab.cri.networkCondition()
      return one.status ? undefined : one
    })
    ok(condition.message.includes('10.99.0.9') || /no address|full|free/i.test(condition.message), condition.message)
    await lab.cri.remove(pod)
    await until('NetworkReady=true', 5000, async () => ((await lab.cri.networkCondition()).status ? true : undefined))
  } finally {
    await restoreConfig(lab)
    run('ip', ['link', 'delete', 'small0'])
  }
}

async function names(lab: Lab): Promise<void> {
  const { cri } = lab
  configure(FILE, shippedConfig('containerd-names.conflist'))
  try {
    await withAgent(() =>
      lab.withPods(2, { dns: '127.0.0.11' }, async (a, b) => {
        await cri.exec(b, 'ping', '-c1', '-W2', a.name)
        await cri.exec(a, 'ping', '-c1', '-W2', b.name)
      })
    )
  } finally {
    configure(FILE, shippedConfig(lab.shipped))
  }
}
