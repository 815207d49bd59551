/** etcd for tests: one or three members on the underlay of an overlay lab, each on a machine of its own. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Namespace } from './namespace.ts'
import type { OverlayLab } from './overlay-lab.ts'

/** The members' addresses begin at 192.0.2.101. */
const FIRST = 101

interface Member {
  readonly number: number
  readonly name: string
  readonly namespace: Namespace
  readonly address: string
  readonly directory: string
  process: ChildProcess
}

export class EtcdCluster {
  readonly members: readonly Member[]
  readonly #lab: OverlayLab
  readonly #scheme: string
  readonly #arguments: readonly string[]

  private constructor(lab: OverlayLab, members: readonly Member[], scheme: string, args: readonly string[]) {
    this.#lab = lab
    this.members = members
    this.#scheme = scheme
    this.#arguments = args
  }

  /**
   * Starts it and waits until it answers.
   *
   * @param tls more arguments for every member, which then speaks https to clients
   */
  static async start(lab: OverlayLab, size: number, tls: readonly string[] = []): Promise<EtcdCluster> {
    const places = Array.from({ length: size }, (_, i) => ({
      number: FIRST + i,
      name: `m${i}`,
      ...lab.plug(FIRST + i)
    }))
    const peers = places.map(({ name, address }) => `${name}=http://${address}:2380`).join(',')
    const scheme = tls.length > 0 ? 'https' : 'http'
    const args = ['--initial-cluster', peers, '--initial-cluster-state', 'new', '--log-level', 'error', ...tls]
    // Elections take a second by default; tests wait for them.
    args.push('--heartbeat-interval', '50', '--election-timeout', '400')
    const members = places.map(place => {
      const directory = join(lab.directory, 'etcd', place.name)
      return { ...place, directory, process: run(lab, { ...place, directory }, scheme, args) }
    })
    const cluster = new EtcdCluster(lab, members, scheme, args)
    await cluster.whenHealthy()
    return cluster
  }

  endpoints(): readonly string[] {
    return this.members.map(member => `${this.#scheme}://${member.address}:2379`)
  }

  kill(index: number): void {
    this.members[index]?.process.kill('SIGKILL')
  }

  restart(index: number): void {
    const member = this.members[index]
    if (member !== undefined) member.process = run(this.#lab, member, this.#scheme, this.#arguments)
  }

  /** Runs etcdctl beside the first member. */
  ctl(...args: readonly string[]): string {
    const [first] = this.members
    if (first === undefined) throw new Error('there is no etcd')
    const all = `--endpoints=${this.endpoints().join(',')}`
    const outcome = first.namespace.run('etcdctl', [all, ...args], { env: { ...process.env, ETCDCTL_API: '3' } })
    if (outcome.status !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${outcome.stderr}`)
    return outcome.stdout
  }

  keys(prefix: string): readonly string[] {
    return this.ctl('get', '--prefix', '--keys-only', prefix)
      .split('\n')
      .filter(line => line !== '')
  }

  leader(): number {
    return this.members.findIndex(member => {
      const args = [`--endpoints=${this.#scheme}://${member.address}:2379`, 'endpoint', 'status', '-w', 'json']
      const outcome = member.namespace.run('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' } })
      if (outcome.status !== 0) return false
      const [{ Status: status }] = JSON.parse(outcome.stdout)
      return status.leader === status.header.member_id
    })
  }

  async whenHealthy(): Promise<void> {
    const member = this.members[0]
    for (let tries = 0; tries < 200; tries += 1) {
      const code = `fetch('http://127.0.0.1:2381/health').then(r => r.json()).then(h => process.exit(h.health === 'true' ? 0 : 1), () => process.exit(1))`
      if (member?.namespace.run(process.execPath, ['-e', code]).status === 0) return
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error('etcd does not become healthy')
  }
}

function run(
  lab: OverlayLab,
  place: { readonly name: string; readonly namespace: Namespace; readonly address: string; readonly directory: string },
  scheme: string,
  args: readonly string[]
): ChildProcess {
  const client = `${scheme}://${place.address}:2379`
  const peer = `http://${place.address}:2380`
  const child = lab.run(place.namespace, 'etcd', [
    ...['--name', place.name, '--data-dir', place.directory],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--listen-metrics-urls', 'http://127.0.0.1:2381'],
    ...args
  ])
  child.stdout?.resume()
  child.stderr?.resume()
  return child
}
