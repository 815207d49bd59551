/**
 * The articles on Docker's networks that people learn from, command by command: what each of them types is above the line
 * that stands for it here, and what it says must be seen is looked for.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { defaultBridge } from '../articles/default-bridge.ts'
import { fromDocker } from '../articles/from-docker.ts'
import { macvlan } from '../articles/macvlan.ts'
import { names } from '../articles/names.ts'
import { overlay } from '../articles/overlay.ts'
import { ownNetworks, type Runtimes } from '../articles/own-networks.ts'
import { pods } from '../articles/pods.ts'
import { services } from '../articles/services.ts'
import { until } from '../command.ts'
import { Containerd } from '../containerd.ts'
import { Cri } from '../cri.ts'
import { installPlugins } from '../host.ts'
import { IMAGE_ARCHIVE, makeWeb, WEB } from '../image.ts'
import { PATCHBAY, Patchbay } from '../patchbay.ts'
import { Podman } from '../podman.ts'
import type { Suite } from '../suite.ts'
import { processes } from '../traces.ts'

export const articlesSuite: Suite = {
  name: 'articles',
  needs: ['containerd', 'podman', 'runc'],
  sets: ['native'],
  prepare: async set => {
    installPlugins(set)
    makeWeb(WEB)
    const containerd = new Containerd('containerd-1')
    await containerd.start()
    for (const namespace of ['default', 'k8s.io']) containerd.loadImages(namespace)
    const cri = new Cri(containerd.socket)
    await cri.ready()
    const podman = new Podman()
    podman.run('load', '-i', IMAGE_ARCHIVE)
    const patchbay = new Patchbay({ CONTAINERD_ADDRESS: containerd.socket })
    const agent = await startAgent()
    const all: Runtimes = { patchbay, containerd, podman }
    return {
      cases: [
        ...defaultBridge(patchbay),
        ...ownNetworks(all),
        ...pods(patchbay, cri),
        ...names(all),
        ...macvlan(patchbay),
        ...overlay(all),
        ...services(patchbay),
        ...fromDocker()
      ],
      // Nothing is made once and stays: a network that is removed takes its bridge along.
      warmUp: async () => undefined,
      close: async () => {
        agent.kill('SIGTERM')
        cri.close()
        podman.outcome('rm', '-f', '-a', '-t', '0')
        await until('conmon to end', 10_000, () => (processes().some(one => one.includes('conmon')) ? undefined : true))
        await containerd.stop('SIGTERM')
      },
      log: () => containerd.log()
    }
  }
}

/** Without configuration: names of this host's networks. */
async function startAgent(): Promise<ChildProcess> {
  const agent = spawn(PATCHBAY, ['agent'], { stdio: 'ignore' })
  await until('the agent', 10_000, () => existsSync('/run/patchbay/agent.sock') || undefined)
  return agent
}
