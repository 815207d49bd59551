/** etcd for tests: one or three members on the underlay of an overlay lab, each on a machine of its own. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './lab-agent.ts'
import type { Namespace } from './namespace.ts'
import type { OverlayLab } from './overlay-lab.ts'

/** The members' addresses begin at 192.0.2.101. */
const FIRST = 101

/** A program beside a member: its metrics port is open to its own machine only. Ends with 0 when the member is healthy. */
const WAIT_UNTIL_HEALTHY = `
setTimeout(() => process.exit(1), 60_000)
const ask = () => {
  const again = () => setTimeout(ask, 20)
  const request = require('node:http').get('http://127.0.0.1:2381/health', response => {
    let text = ''
    response.on('data', chunk => (text += chunk))
    response.on('end', () => JSON.parse(text).health === 'true' ? process.exit(0) : again())
  })
  request.on('error', again)
}
ask()
`

/** A program beside a member, a second way to it: whatever is said there arrives so many milliseconds later. */
const LONG_WAY = `
const net = require('node:net')
const [address, milliseconds] = process.argv.slice(1)
net.createServer(from => {
  const to = net.connect(2379, address)
  for (const [a, b] of [[from, to], [to, from]]) {
    a.on('data', data => setTimeout(() => b.write(data), Number(milliseconds)))
    a.on('close', () => setTimeout(() => b.destroy(), Number(milliseconds)))
    a.on('error', () => undefined)
  }
}).listen(2378, address, () => console.log('listening'))
`

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
   * @param more arguments for every member; with a certificate it speaks https to clients
   */
  static async start(lab: OverlayLab, size: number, more: readonly string[] = []): Promise<EtcdCluster> {
    const places = Array.from({ length: size }, (_, i) => ({
      number: FIRST + i,
      name: `m${i}`,
      ...lab.plug(FIRST + i)
    }))
    const peers = places.map(({ name, address }) => `${name}=http://${address}:2380`).join(',')
    const scheme = more.includes('--cert-file') ? 'https' : 'http'
    const args = ['--initial-cluster', peers, '--initial-cluster-state', 'new', '--log-level', 'error', ...more]
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

  /** Endpoints that answer as those of a loaded cluster on slow disks do. @param milliseconds each way */
  async farEndpoints(milliseconds: number): Promise<readonly string[]> {
    for (const { namespace, address } of this.members) {
      const args = ['-e', LONG_WAY, address, String(milliseconds)]
      const { stdout } = this.#lab.run(namespace, process.execPath, args)
      if (stdout !== null) await once(stdout, 'data')
    }
    return this.members.map(({ address }) => `http://${address}:2378`)
  }

  /** As a crash does. Resolves when it is gone, and its ports with it. */
  async kill(index: number): Promise<void> {
    const { process: child } = this.#member(index)
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  restart(index: number): void {
    const member = this.#member(index)
    member.process = run(this.#lab, member, this.#scheme, this.#arguments)
  }

  /** Takes a killed member's memory away. */
  forget(index: number): void {
    rmSync(this.#member(index).directory, { recursive: true, force: true })
  }

  /** Writes until it takes no more. */
  fill(): void {
    const key = (n: number): string => `/full/${n}`
    try {
      for (let n = 0; n < 400; n += 1) this.ctl('put', key(n), 'x'.repeat(120_000))
    } catch (error) {
      if (!/space exceeded/.test(String(error))) throw error
      return
    }
    throw new Error('etcd did not become full')
  }

  #member(index: number): Member {
    const member = this.members[index]
    if (member === undefined) throw new Error(`there is no member ${index} of etcd`)
    return member
  }

  /** Runs etcdctl beside the first member. */
  ctl(...args: readonly string[]): string {
    const [first] = this.members
    if (first === undefined) throw new Error('there is no etcd')
    const all = [`--endpoints=${this.endpoints().join(',')}`, '--dial-timeout=20s', '--command-timeout=30s']
    const outcome = first.namespace.run('etcdctl', [...all, ...args], { env: { ...process.env, ETCDCTL_API: '3' } })
    if (outcome.status !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${outcome.stderr}`)
    return outcome.stdout
  }

  keys(prefix: string): readonly string[] {
    return this.ctl('get', '--prefix', '--keys-only', prefix)
      .split('\n')
      .filter(line => line !== '')
  }

  /** Keys of endpoints and addresses that containers have; hosts have some of their own. */
  containerKeys(kind: 'endpoints' | 'addresses'): readonly string[] {
    const values = this.ctl('get', '--prefix', '-w', 'json', `/patchbay/${kind}/`)
    const entries: readonly { readonly key: string; readonly value: string }[] = JSON.parse(values).kvs ?? []
    const texts = entries.map(({ key, value }) =>
      [Buffer.from(key, 'base64'), Buffer.from(value, 'base64')].map(String)
    )
    return texts
      .filter(([key = '', value = '']) => !/\/@h[0-9]+\/|"@h[0-9]+"/.test(`${key} ${value}`))
      .map(([key = '']) => key)
  }

  /** The index of the member that leads; none does for a moment now and then. */
  async leader(): Promise<number> {
    let leader = -1
    await until('etcd has a leader', () => {
      leader = this.#findLeader()
      return leader >= 0
    })
    return leader
  }

  #findLeader(): number {
    return this.members.findIndex(member => {
      const args = [`--endpoints=${this.#scheme}://${member.address}:2379`, 'endpoint', 'status', '-w', 'json']
      const outcome = member.namespace.run('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' } })
      if (outcome.status !== 0) return false
      const [{ Status: status }] = JSON.parse(outcome.stdout)
      return status.leader === status.header.member_id
    })
  }

  async whenHealthy(): Promise<void> {
    await Promise.all(
      this.members.map(async ({ namespace, name }) => {
        const asking = this.#lab.run(namespace, process.execPath, ['-e', WAIT_UNTIL_HEALTHY])
        const [status] = await once(asking, 'exit')
        if (status !== 0) throw new Error(`start etcd: ${name} is not healthy after a minute`)
      })
    )
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
