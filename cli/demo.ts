/**
 * `npm run demo`: two containers on a bridge network, wired by the built executables as a runtime would do it, in a
 * throw-away host. Leaves nothing behind.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatPrefix, parsePrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { resolveIn, startAgent } from './demo/names.ts'
import { picture } from './demo/picture.ts'
import { BIN_DIR, ENGINE, obstacleTo, PATCHBAY } from './demo/stage.ts'
import { becomeHost, connectFrom, makeNamespace, type Namespace, type Reached, run, startEcho } from './demo/world.ts'

const NETWORK = 'demo'
const BRIDGE = 'patch0'
const ECHO_PORT = 7
/** The host's port that leads to the first container's echo. */
const PUBLISHED_PORT = 8080

interface Container {
  readonly name: string
  readonly namespace: Namespace
}

interface Attached {
  readonly container: string
  readonly ifName: string
  readonly addresses: readonly string[]
  readonly gateways: readonly string[]
  /** The host's end of the veth pair. */
  readonly hostEnd: string
}

/** The part of a CNI result that the demo shows. */
interface CniResult {
  readonly interfaces: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[]
}

const OWN_MOUNTS = 'PATCHBAY_DEMO_OWN_MOUNTS'

/**
 * Runs this again with mounts of its own: plugins lock files below /run and ask the firewalld whose bus is there, and neither is to be
 * the machine's. So the agent can be where plugins look for one.
 */
function withOwnRun(): number {
  const args = [
    '--mount',
    '--propagation',
    'private',
    process.execPath,
    '--no-warnings',
    fileURLToPath(import.meta.url)
  ]
  const child = spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, [OWN_MOUNTS]: '1' } })
  if (child.error !== undefined) throw new Error(`run unshare: ${child.error.message}`)
  return child.status ?? 1
}

async function main(): Promise<number> {
  const obstacle = obstacleTo('demo')
  if (obstacle !== undefined) {
    process.stderr.write(`${obstacle}\n`)
    return 1
  }
  if (process.env[OWN_MOUNTS] !== '1') return withOwnRun()
  run('mount', ['-t', 'tmpfs', 'tmpfs', '/run'])
  mkdirSync('/run/patchbay', { mode: 0o700 })
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-demo-'))
  try {
    return await show(becomeHost(), directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function show(host: Namespace, directory: string): Promise<number> {
  const agent = await startAgent(PATCHBAY, directory, join(directory, 'state'))
  try {
    return await showBeside(host, directory)
  } finally {
    agent.kill('SIGKILL')
  }
}

async function showBeside(host: Namespace, directory: string): Promise<number> {
  say('A host of its own, which is a network namespace, and two containers, which')
  say(`are two more. Plugins: the ${ENGINE} engine's, in ${relative(process.cwd(), BIN_DIR)}.`)
  if (ENGINE === 'node') say('(The native ones, which start 20 times faster: npm run build:native)')
  const containers = ['red', 'blue'].map(name => ({ name, namespace: makeNamespace() }))
  const flags = ['--conf-dir', directory, '--bin-dir', BIN_DIR, '--cache-dir', join(directory, 'cache')]
  writeFileSync(join(directory, `${NETWORK}.conflist`), JSON.stringify(network(directory), undefined, 2))

  heading(1, `Attach both, red with its port ${ECHO_PORT} published as ${PUBLISHED_PORT}`)
  const attached = containers.map((container, i) => attach(container, i === 0 ? [...flags, ...publish()] : flags))
  draw(attached)

  heading(2, 'Talk: a TCP connection and its answer, the median of 20')
  await talk(containers, attached)

  heading(3, 'Find each other by name, with an agent that answers')
  findNames(containers)

  heading(4, `Reach red from the host by port ${PUBLISHED_PORT}`)
  await reachPublished(host, containers[0])

  heading(5, 'Break something, and ask')
  breakAndCheck(containers, attached, flags)

  heading(6, 'Detach')
  for (const container of containers) {
    patchbay(['detach', NETWORK, container.namespace.path, '--container-id', container.name, ...flags])
  }
  return reportLeftovers(directory)
}

function heading(number: number, text: string): void {
  say(`\n${number}. ${text}`)
}

function network(directory: string): object {
  const stateDir = join(directory, 'state')
  return {
    cniVersion: '1.0.0',
    name: NETWORK,
    plugins: [
      {
        type: 'bridge',
        bridge: BRIDGE,
        isDefaultGateway: true,
        hairpinMode: true,
        stateDir,
        ipam: {
          type: 'host-local',
          dataDir: join(directory, 'leases'),
          ranges: [[{ subnet: '10.77.0.0/24' }], [{ subnet: 'fd77::/64' }]]
        }
      },
      { type: 'portmap', capabilities: { portMappings: true }, stateDir },
      { type: 'dns', capabilities: { aliases: true }, stateDir }
    ]
  }
}

const DIRECTORIES: readonly string[] = ['--conf-dir', '--bin-dir', '--cache-dir']

/** As `docker run -p 8080:7` asks for it. */
function publish(): readonly string[] {
  const mapping = { hostPort: PUBLISHED_PORT, containerPort: ECHO_PORT, protocol: 'tcp' }
  return ['--cap', `portMappings=${JSON.stringify([mapping])}`]
}

/** Shows the command as a person would type it, without the directories of the demo. */
function patchbay(args: readonly string[]): string {
  const typed = args.filter((arg, i) => !DIRECTORIES.includes(arg) && !DIRECTORIES.includes(args[i - 1] ?? ''))
  const paths = typed.map(arg =>
    arg.startsWith('/proc/') ? 'NETNS' : arg.startsWith('portMappings') ? 'portMappings=...' : arg
  )
  say(`   $ patchbay ${paths.filter(arg => arg !== '--json').join(' ')}`)
  const answer = run(PATCHBAY, args)
  if (answer.status !== 0) throw new Error(`patchbay ${args[0]}: ${answer.stderr.trim() || answer.stdout.trim()}`)
  return answer.stdout
}

function attach(container: Container, flags: readonly string[]): Attached {
  const args = ['attach', NETWORK, container.namespace.path, '--container-id', container.name, '--json', ...flags]
  const result = JSON.parse(patchbay(args)) as CniResult
  const inside = result.interfaces.find(one => (one.sandbox ?? '') !== '')
  return {
    container: container.name,
    ifName: inside?.name ?? '',
    addresses: result.ips.map(ip => ip.address),
    gateways: result.ips.map(ip => ip.gateway ?? ''),
    hostEnd: result.interfaces[1]?.name ?? ''
  }
}

function draw(attached: readonly Attached[]): void {
  const boxes = attached.map(one => ({ lines: [one.container, one.ifName, ...one.addresses], hostEnd: one.hostEnd }))
  const lines = picture([`host: bridge ${BRIDGE}`, (attached[0]?.gateways ?? []).join('  ')], boxes)
  say(`\n${lines.map(line => `   ${line}`).join('\n')}`)
}

/** Each container asks the other for the address that it is seen by, over every address it has. */
async function talk(containers: readonly Container[], attached: readonly Attached[]): Promise<void> {
  for (const [from, to] of [
    [0, 1],
    [1, 0]
  ] as const) {
    const source = containers[from]
    const target = containers[to]
    const peer = attached[to]
    if (source === undefined || target === undefined || peer === undefined) continue
    const echo = await startEcho(target.namespace, ECHO_PORT)
    try {
      for (const prefix of peer.addresses) {
        const address = prefix.replace(/\/.*/, '')
        const reached = connectFrom(source.namespace, address, ECHO_PORT)
        say(
          `   ${`${source.name} -> ${target.name}`.padEnd(13)} ${address.padEnd(10)} ${timeOf(reached)}, seen as ${reached.seenAs}`
        )
      }
    } finally {
      echo.stop()
    }
  }
}

/** By the loopback address and by the bridge's, as a program on the host would. */
async function reachPublished(host: Namespace, container: Container | undefined): Promise<void> {
  if (container === undefined) return
  const net = new LinuxKernel().host()
  net.links.set(net.links.get('lo').index, { up: true })
  const echo = await startEcho(container.namespace, ECHO_PORT)
  try {
    for (const address of ['127.0.0.1', '10.77.0.1']) {
      const reached = connectFrom(host, address, PUBLISHED_PORT)
      say(`   host -> ${container.name}   ${address.padEnd(10)} ${timeOf(reached)}, seen as ${reached.seenAs}`)
    }
  } finally {
    echo.stop()
  }
}

function findNames(containers: readonly Container[]): void {
  for (const asker of containers) {
    for (const other of containers) {
      if (asker === other) continue
      const found = resolveIn(asker.namespace, other.name)
      say(`   ${asker.name} asks for ${other.name}: ${found}`)
    }
  }
}

function timeOf(reached: Reached): string {
  return `${reached.milliseconds.toFixed(2)} ms`
}

/** Takes an address away behind the plugins' back: CHECK finds it. */
function breakAndCheck(
  containers: readonly Container[],
  attached: readonly Attached[],
  flags: readonly string[]
): void {
  const [container] = containers
  const prefix = parsePrefix(attached[0]?.addresses[0] ?? '')
  if (container === undefined || prefix === undefined) return
  const check = ['check', NETWORK, container.namespace.path, '--container-id', container.name, ...flags]
  say(`   ${patchbay(check).trim()}`)
  const net = new LinuxKernel().open(container.namespace.path)
  net.addresses.remove(net.links.get('eth0').index, prefix)
  net.close()
  say(`   (the address ${formatPrefix(prefix)} is taken away)`)
  const [finding = ''] = run(PATCHBAY, check).stderr.split('\n')
  say(`   ${finding.slice(0, 76)}`)
}

/** What is left after the last detach: the bridge alone, which waits for the next container. */
function reportLeftovers(directory: string): number {
  const links = new LinuxKernel().host().links.list()
  const left = links.filter(link => link.name !== 'lo' && link.name !== BRIDGE).map(link => `link ${link.name}`)
  const leases = list(join(directory, 'leases', NETWORK)).filter(name => /^[0-9a-f]+[.:]/.test(name))
  left.push(...leases.map(name => `lease ${name}`))
  left.push(...list(join(directory, 'state', NETWORK)).map(name => `journal entry ${name}`))
  left.push(...list(join(directory, 'cache', 'results')).map(name => `cached result ${name}`))
  if (left.length === 0) {
    say(`   Nothing is left: no link but the empty bridge ${BRIDGE}, no address lease,`)
    say('   no file. The host goes with this process.')
    return 0
  }
  process.stderr.write(`left behind: ${left.join(', ')}\n`)
  return 1
}

function list(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})
