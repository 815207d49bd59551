/**
 * Several hosts on one network, all of them network namespaces: this process's own is the switch between them, and where
 * etcd runs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { parsePrefix } from '../../lib/ip/prefix.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { Net } from '../../lib/net/net.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { type Answer, becomeHost, makeNamespace, type Namespace, run } from './world.ts'

/** Where the switch itself, and so etcd, can be reached. */
export const CENTER = '192.0.2.254'

export interface SiteHost {
  readonly name: string
  readonly address: string
  readonly namespace: Namespace
}

export class Site {
  readonly hosts: readonly SiteHost[]
  readonly #programs: ChildProcess[] = []

  private constructor(hosts: readonly SiteHost[]) {
    this.hosts = hosts
  }

  /** Takes this process into a namespace of its own and puts the hosts around it. */
  static create(names: readonly string[]): Site {
    becomeHost()
    const center = new LinuxKernel().host()
    const bridge = center.links.add({ name: 'switch', kind: { kind: 'bridge' }, up: true })
    addAddress(center, bridge.index, `${CENTER}/24`)
    center.links.set(center.links.get('lo').index, { up: true })
    return new Site(names.map((name, i) => plug(center, bridge.index, name, `192.0.2.${i + 1}`)))
  }

  /** Starts a program that runs on, on the switch or on a host. What it says comes to `onOutput`. */
  start(
    where: SiteHost | undefined,
    program: string,
    args: readonly string[],
    onOutput: (text: string) => void
  ): ChildProcess {
    const launch = (): ChildProcess => spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const child = where === undefined ? launch() : inNamespace(where.namespace.fd, launch)
    child.stdout?.on('data', chunk => onOutput(String(chunk)))
    child.stderr?.on('data', chunk => onOutput(String(chunk)))
    this.#programs.push(child)
    return child
  }

  /** Runs a program on a host to its end. */
  run(host: SiteHost, program: string, args: readonly string[]): Answer {
    return inNamespace(host.namespace.fd, () => run(program, args))
  }

  /** Pulls a host's cable. */
  cut(host: SiteHost): void {
    const center = new LinuxKernel().host()
    center.links.set(center.links.get(portOf(host.name)).index, { up: false })
    center.close()
  }

  /** A host's namespace; the caller closes it. */
  net(host: SiteHost): Net {
    return new LinuxKernel().open(host.namespace.path)
  }

  stop(): void {
    for (const program of this.#programs) program.kill('SIGKILL')
  }
}

function plug(center: Net, bridgeIndex: number, name: string, address: string): SiteHost {
  const namespace = makeNamespace()
  const net = new LinuxKernel().open(namespace.path)
  center.links.add({
    name: portOf(name),
    kind: { kind: 'veth', peer: { name: 'eth0', netns: net } },
    masterIndex: bridgeIndex,
    up: true
  })
  for (const link of ['lo', 'eth0']) net.links.set(net.links.get(link).index, { up: true })
  addAddress(net, net.links.get('eth0').index, `${address}/24`)
  net.routes.add({ family: 4, dst: undefined, gateway: parsePrefix(`${CENTER}/32`)?.address })
  net.close()
  return { name, address, namespace }
}

function portOf(name: string): string {
  return `port-${name}`
}

function addAddress(net: Net, index: number, text: string): void {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) net.addresses.ensure(index, [{ prefix }])
}
