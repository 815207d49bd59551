/**
 * Machines on one switch, each a namespace: the first has 10.4.0.2 and fd00:4::2, the next .3 and ::3, and so on. There is no
 * way out.
 */
import { Namespace } from './namespace.ts'

export class Switched {
  readonly machines: readonly Namespace[]
  readonly #switch: Namespace

  constructor(count: number) {
    this.#switch = Namespace.create()
    sh(this.#switch, 'ip link add sw type bridge mcast_snooping 0; ip link set sw up')
    this.machines = Array.from({ length: count }, (_, i) => this.#plug(i + 2))
  }

  machine(index: number): Namespace {
    const one = this.machines[index]
    if (one === undefined) throw new Error(`there is no machine ${index}`)
    return one
  }

  #plug(number: number): Namespace {
    const machine = Namespace.create()
    sh(
      this.#switch,
      `ip link add port${number} master sw up type veth peer name eth0 netns ${machine.pid}; ip link set port${number} up`
    )
    sh(
      machine,
      `ip link set lo up; ip link set eth0 up; ip address add 10.4.0.${number}/24 dev eth0
      ip address add fd00:4::${number.toString(16)}/64 dev eth0 nodad
      for try in $(seq 200); do ip -o link show eth0 | grep -q 'state UP' && exit 0; sleep 0.05; done; exit 1`
    )
    return machine
  }

  close(): void {
    for (const one of [...this.machines, this.#switch]) one.close()
  }
}

function sh(namespace: Namespace, script: string): void {
  const done = namespace.run('sh', ['-e', '-c', script])
  if (done.status !== 0) throw new Error(`${script}: ${done.stderr}`)
}
