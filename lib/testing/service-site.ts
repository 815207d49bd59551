/** Services on hosts of an overlay site: containers attached by the command, as a person does. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './lab-agent.ts'
import type { Namespace, Outcome } from './namespace.ts'
import { BIN_DIR, type OverlaySite } from './overlay-site.ts'
import { patchbayProgram, programFromText } from './program.ts'

/** The network that every lab of these has, and the address that its first service gets. */
const SERVICE_NETWORK = 'blue'
const NETWORK = { ranges: [{ subnet: '10.43.0.0/16', gateway: '10.43.0.1' }] }
export const VIP = '10.43.255.254'
/** Containers have addresses by number, hosts of the pool's choice: in a subnet of 254 that was VIP in one run of a hundred. */
const FIRST_ADDRESS = 10
let attached = 0

export interface ServiceBox {
  readonly host: number
  readonly id: string
  readonly netns: Namespace
  readonly address: string
}

/** The command on a host. */
function patchbay(site: OverlaySite, host: number, ...args: readonly string[]): Outcome {
  const [node, ...first] = patchbayProgram()
  return site.lab.host(host).namespace.run(node, [...first, ...args])
}

/** `patchbay service …` on a host. */
export function service(site: OverlaySite, host: number, ...args: readonly string[]): Outcome {
  return patchbay(site, host, 'service', ...args, '--agent-socket', site.agent(host).socket)
}

/** Where a host's command looks for networks and plugins. */
function place(site: OverlaySite, host: number): readonly string[] {
  const { directory } = site.lab.host(host)
  return ['--conf-dir', join(directory, 'net.d'), '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
}

/** A container on the network, called by its id and the aliases. */
export function attach(site: OverlaySite, host: number, id: string, ...aliases: readonly string[]): ServiceBox {
  return attachRunning(site, host, { id, aliases, netns: site.lab.container() })
}

interface Running {
  readonly id: string
  readonly aliases: readonly string[]
  readonly netns: Namespace
}

/** The same for a container that runs already. */
export function attachRunning(site: OverlaySite, host: number, running: Running): ServiceBox {
  const { id, aliases, netns } = running
  const ip = `10.43.0.${FIRST_ADDRESS + attached}`
  attached += 1
  const names = ['--container-id', id, '--name', id, ...aliases.flatMap(one => ['--alias', one]), '--args', `IP=${ip}`]
  const done = patchbay(site, host, 'attach', SERVICE_NETWORK, netns.path, ...names, '--json', ...place(site, host))
  // A host's own address on the network is of the pool's choice.
  if (`${done.stdout}${done.stderr}`.includes(`\\"${ip}\\" from ipam.ranges[0]: container \\"@h`))
    return attachRunning(site, host, running)
  if (done.status !== 0) throw new Error(`attach ${id}: ${done.stdout}${done.stderr}${site.agent(host).log}`)
  const address: string = JSON.parse(done.stdout).ips[0].address.split('/')[0]
  return { host, id, netns, address }
}

export function detach(site: OverlaySite, { host, id }: ServiceBox): void {
  const done = patchbay(site, host, 'detach', SERVICE_NETWORK, '--container-id', id, ...place(site, host))
  if (done.status !== 0) throw new Error(`detach ${id}: ${done.stdout}${done.stderr}`)
}

/**
 * Makes the network, and waits until all hosts have it.
 *
 * @param more laid over its record
 */
export async function makeServiceNetwork(site: OverlaySite, more: object = {}): Promise<void> {
  const network = { ...NETWORK, ...more }
  const made = await site.agent(0).ask({ do: 'network-create', name: SERVICE_NETWORK, network })
  if (!made.ok) throw new Error(made.msg)
  const file = `patchbay-${SERVICE_NETWORK}.conflist`
  await until('all hosts have the network', () =>
    site.lab.hosts.every(host => existsSync(join(host.directory, 'net.d', file)))
  )
}

/** Names of tables in a namespace. */
export function tables(where: Namespace): string {
  return where.run('nft', ['list', 'tables']).stdout
}

/** What dig says in a container: addresses or names, or the response code. */
export function asked(where: Namespace, ...question: readonly string[]): string {
  const { stdout } = where.run('dig', ['@127.0.0.11', '+time=5', '+tries=2', ...question])
  const answers = [...stdout.matchAll(/\sIN\s(?:A|PTR)\s(\S+)/g)].map(match => match[1]).sort()
  return answers.length > 0 ? answers.join(' ') : (/status: (\w+)/.exec(stdout)?.[1] ?? stdout)
}

/**
 * Connects so often, one after the other, to servers that say their name first (EchoServer).
 *
 * @returns how often each answered, or what went wrong by its errno
 */
export function answersFrom(
  machine: Namespace,
  host: string,
  times: number,
  port = 80
): Readonly<Record<string, number>> {
  const text = `
    import { connect } from 'node:net'
    const [host = '', times = '', port = ''] = process.argv.slice(2)
    const counts: Record<string, number> = {}
    for (let i = 0; i < Number(times); i += 1) {
      const answer = await new Promise<string>(resolve => {
        let text = ''
        const socket = connect({ host, port: Number(port), timeout: 20_000 })
        socket.on('data', chunk => (text += String(chunk)))
        socket.on('timeout', () => { text = 'time-out'; socket.destroy() })
        socket.on('error', error => (text = (error as NodeJS.ErrnoException).code ?? 'failed'))
        socket.on('close', () => resolve(text.split(' ')[0] ?? ''))
      })
      counts[answer] = (counts[answer] ?? 0) + 1
    }
    console.log(JSON.stringify(counts))`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const { status, stdout, stderr } = machine.run(node, [...args, host, String(times), String(port)])
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}
