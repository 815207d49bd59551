/** The manifests of deploy/kubernetes on the nearest thing to a node: containerd, asked as the kubelet would ask it. */
import { equal, match, ok } from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from '../command.ts'
import { Containerd } from '../containerd.ts'
import { Cri, type Pod } from '../cri.ts'
import { DaemonPod, imageArchives } from '../daemon-set.ts'
import { BIN_DIR, CONF_DIR, OUTSIDE_IPV4, SCRATCH, unconfigure } from '../host.ts'
import { pings, who } from '../reach.ts'
import type { Suite } from '../suite.ts'

const FILE = '10-patchbay.conflist'
const POD_CIDR = '/etc/patchbay/pod-cidr'
const SOCKET = '/run/patchbay/agent.sock'
const READY_MS = 20_000

export const kubernetesSuite: Suite = {
  name: 'kubernetes',
  needs: ['containerd', 'runc', 'etcd', 'image'],
  sets: ['native'],
  prepare: async () => {
    // As systemd makes every mount; what is mounted below reaches the agent's container by that.
    run('mount', ['--make-rshared', '/run'])
    const containerd = new Containerd('containerd-1')
    await containerd.start()
    containerd.loadImages('k8s.io', ...imageArchives())
    const cri = new Cri(containerd.socket)
    await cri.ready()
    return {
      cases: [
        { name: "a node's podCIDR from a file: plugins, network, pods", body: () => ofPodCidr(cri) },
        { name: 'a file without a subnet: the pod says so and nothing is written', body: () => withoutSubnet(cri) },
        { name: 'an overlay: init container and agent without privileges, pods', body: () => ofOverlay(cri) }
      ],
      warmUp: async () => undefined,
      close: async () => {
        for (const pod of await cri.list()) await cri.remove(pod).catch(() => undefined)
        cri.close()
        await containerd.stop('SIGTERM')
      },
      log: () => containerd.log()
    }
  }
}

/** Runs `body` while a DaemonSet's pod runs, and takes away what it has put on the node. */
async function withDaemon(cri: Cri, file: string, body: (daemon: DaemonPod) => Promise<void>): Promise<void> {
  const daemon = await DaemonPod.run(cri, file)
  try {
    await body(daemon)
  } finally {
    await daemon.remove()
    unconfigure(FILE)
  }
}

async function networkReady(cri: Cri): Promise<void> {
  await until('the network', READY_MS, async () => ((await cri.networkCondition()).status ? true : undefined))
}

async function ofPodCidr(cri: Cri): Promise<void> {
  mkdirSync('/etc/patchbay', { recursive: true })
  writeFileSync(POD_CIDR, '10.77.3.0/24 fd77:3::/64\n')
  await withDaemon(cri, 'pod-cidr.yaml', async daemon => {
    await networkReady(cri)
    equal(statSync(join(BIN_DIR, 'bridge')).mode & 0o777, 0o755)
    const pods = await Promise.all([cri.run('pod'), cri.run('pod')])
    try {
      for (const pod of pods) {
        match(pod.addresses[0] ?? '', /^10\.77\.3\./)
        match(pod.addresses[1] ?? '', /^fd77:3::/)
        ok(pings(pod.netns, OUTSIDE_IPV4), 'a pod reaches the other machine')
      }
      const [a, b] = pods
      equal(who(a.netns, b.addresses[0] ?? '', 80)?.name, b.name)
      equal(who(a.netns, b.addresses[1] ?? '', 80)?.name, b.name)
    } finally {
      for (const pod of pods) await cri.remove(pod)
    }
    ok(await daemon.isRunning('install'), 'a container of a DaemonSet stays')
    equal(await daemon.stop('install'), 0, 'it ends when it is asked to')
  })
}

async function withoutSubnet(cri: Cri): Promise<void> {
  writeFileSync(POD_CIDR, '\n')
  await withDaemon(cri, 'pod-cidr.yaml', async daemon => {
    await until('the end', READY_MS, async () => ((await daemon.isRunning('install')) ? undefined : true))
    match(daemon.log('install'), /--subnet-file.* has no subnet/)
    ok(!existsSync(join(CONF_DIR, FILE)))
  })
}

async function ofOverlay(cri: Cri): Promise<void> {
  const etcd = await startEtcd()
  const pods: Pod[] = []
  // By which a node's own address, and so the tunnel's, is found.
  run('ip', ['route', 'add', 'default', 'via', OUTSIDE_IPV4])
  try {
    await withDaemon(cri, 'overlay.yaml', async daemon => {
      await agentReady(daemon)
      await networkReady(cri)
      pods.push(...(await Promise.all([cri.run('pod'), cri.run('pod')])))
      await talk(pods)
      const published = run('etcdctl', ['get', '--prefix', '/patchbay', '--keys-only'])
      for (const pod of pods) match(published, new RegExp(pod.id), 'what the agent knows is in the registry')
      equal(await daemon.stop('agent'), 0)
    })
    await talk(pods)
    await withDaemon(cri, 'overlay.yaml', async daemon => {
      await agentReady(daemon)
      await talk(pods)
      for (const pod of pods.splice(0)) await cri.remove(pod)
      const rest = run('etcdctl', ['get', '--prefix', '/patchbay', '--keys-only'])
      ok(!/endpoint/.test(rest), `the next agent takes back what the first has published: ${rest}`)
    })
  } finally {
    for (const pod of pods) await cri.remove(pod).catch(() => undefined)
    etcd.kill('SIGKILL')
    run('ip', ['route', 'del', 'default'])
    for (const path of ['/run/patchbay/agent', '/var/lib/patchbay']) rmSync(path, { recursive: true, force: true })
  }
}

async function agentReady(daemon: DaemonPod): Promise<void> {
  await until('the agent', READY_MS, async () => {
    if (!(await daemon.isRunning('agent'))) throw new Error(`the agent ended: ${daemon.log('agent')}`)
    return existsSync(SOCKET) ? true : undefined
  })
}

/** With each other and with the other machine. */
async function talk(pods: readonly Pod[]): Promise<void> {
  const [a, b] = pods
  if (a === undefined || b === undefined) throw new Error('two pods are wanted')
  for (const pod of pods) match(pod.addresses[0] ?? '', /^10\.42\./)
  equal(who(a.netns, b.addresses[0] ?? '', 80)?.name, b.name)
  ok(pings(a.netns, OUTSIDE_IPV4), 'a pod reaches the other machine')
}

async function startEtcd(): Promise<ChildProcess> {
  const path = join(SCRATCH, 'etcd')
  const etcd = spawn('etcd', ['--data-dir', path, '--log-level', 'error'], { stdio: 'ignore' })
  await until('etcd', READY_MS, () => {
    if (etcd.exitCode !== null) throw new Error(`etcd ended: ${etcd.exitCode}`)
    return readFileSync('/proc/net/tcp', 'latin1').includes(':094B 00000000:0000 0A') ? true : undefined
  })
  return etcd
}
