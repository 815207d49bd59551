/**
 * A host with two bridges, three containers and a machine outside, in namespaces:
 *
 *     outside 192.0.2.9 fd00:9::9 --- host 192.0.2.1 fd00:9::1
 *                                     |- br1 10.4.0.1/24 fd00:4::1/64 --- first .2 ::2, second .3 ::3
 *                                     `- br2 10.5.0.1/24 fd00:5::1/64 --- third .2 ::2
 */
import { Namespace } from './namespace.ts'
import { PluginProgram } from './plugin-program.ts'

/** Until the kernel has noticed a new link's carrier, up to a second later, it drops what is sent there. */
const ALL_LINKS_UP = `
  for try in $(seq 200); do ip -o link show | grep -v LOOPBACK | grep -qv 'state UP' || exit 0; sleep 0.05; done
  ip link show >&2; exit 1`

export class BridgedContainers {
  readonly host: Namespace
  readonly outside: Namespace
  readonly first: Namespace
  readonly second: Namespace
  readonly third: Namespace
  readonly #all: readonly Namespace[]

  constructor() {
    this.host = Namespace.create()
    this.outside = Namespace.create()
    this.first = Namespace.create()
    this.second = Namespace.create()
    this.third = Namespace.create()
    this.#all = [this.host, this.outside, this.first, this.second, this.third]
    // Addresses usable at once: the first packet would otherwise wait for a second.
    for (const one of this.#all) this.#sh(one, 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
    this.#sh(
      this.host,
      `ip link set lo up
      ip link add out type veth peer name eth0 netns ${this.outside.pid}
      ip addr add 192.0.2.1/24 dev out; ip addr add fd00:9::1/64 dev out nodad; ip link set out up
      for n in 1 2; do
        ip link add br$n type bridge; ip addr add 10.$((n + 3)).0.1/24 dev br$n
        ip addr add fd00:$((n + 3))::1/64 dev br$n nodad; ip link set br$n up
      done
      echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`
    )
    this.#sh(
      this.outside,
      `ip link set lo up; ip addr add 192.0.2.9/24 dev eth0; ip addr add fd00:9::9/64 dev eth0 nodad; ip link set eth0 up
      ip route add 10.0.0.0/8 via 192.0.2.1; ip route add fd00::/16 via fd00:9::1`
    )
    this.#attach(this.first, 'veth1', 1, 2)
    this.#attach(this.second, 'veth2', 1, 3)
    this.#attach(this.third, 'veth3', 2, 2)
    for (const one of this.#all) this.#sh(one, ALL_LINKS_UP)
  }

  #attach(container: Namespace, veth: string, bridge: number, number: number): void {
    const net = String(bridge + 3)
    this.#sh(
      this.host,
      `ip link add ${veth} type veth peer name eth0 netns ${container.pid}
      ip link set ${veth} master br${bridge} up; bridge link set dev ${veth} hairpin on`
    )
    this.#sh(
      container,
      `ip link set lo up; ip addr add 10.${net}.0.${number}/24 dev eth0
      ip addr add fd00:${net}::${number}/64 dev eth0 nodad; ip link set eth0 up
      ip route add default via 10.${net}.0.1; ip -6 route add default via fd00:${net}::1`
    )
  }

  #sh(namespace: Namespace, script: string): void {
    const done = namespace.run('sh', ['-e', '-c', script])
    if (done.status !== 0) throw new Error(`set up: ${done.stderr}`)
  }

  /** The result of the bridge plugin for one of the containers, IPv4 first. */
  prevResult(container: Namespace, families: readonly (4 | 6)[] = [4, 6]): object {
    const isThird = container === this.third
    const veth = isThird ? 'veth3' : container === this.first ? 'veth1' : 'veth2'
    const net = isThird ? '5' : '4'
    const number = container === this.second ? '3' : '2'
    const four = { interface: 2, address: `10.${net}.0.${number}/24`, gateway: `10.${net}.0.1` }
    const six = { interface: 2, address: `fd00:${net}::${number}/64`, gateway: `fd00:${net}::1` }
    return {
      cniVersion: '1.1.0',
      interfaces: [{ name: `br${isThird ? 2 : 1}` }, { name: veth }, { name: 'eth0', sandbox: container.path }],
      ips: [...(families.includes(4) ? [four] : []), ...(families.includes(6) ? [six] : [])]
    }
  }

  close(): void {
    for (const namespace of this.#all) namespace.close()
  }
}

/** By the name that a test has for it: the plugin's type, and the command that runs it. */
type Plugins<Name extends string> = Readonly<Record<Name, readonly [type: string, command: readonly string[]]>>

/** Such a host, and each of the plugins as a program on it. */
export type BridgedStage<Name extends string> = { readonly lab: BridgedContainers } & Readonly<
  Record<Name, PluginProgram>
>

export function withBridgedContainers<Name extends string>(
  plugins: Plugins<Name>,
  body: (stage: BridgedStage<Name>) => void
): void {
  const lab = new BridgedContainers()
  const programs = new Map<string, PluginProgram>()
  try {
    for (const name in plugins) {
      const [type, command] = plugins[name]
      programs.set(name, new PluginProgram(lab.host, type, command))
    }
    body({ lab, ...(Object.fromEntries(programs) as Record<Name, PluginProgram>) })
  } finally {
    for (const program of programs.values()) program.close()
    lab.close()
  }
}

/** The namespace's nf_tables ruleset as nft lists it, without what it has counted. */
export function rulesetOf(namespace: Namespace): string {
  return namespace.run('nft', ['list', 'ruleset']).stdout.replace(/counter packets \d+ bytes \d+ /g, '')
}
