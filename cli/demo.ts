/**
 * `npm run demo`: two containers on a bridge network, wired by the built executables as a runtime would do it, in a
 * throw-away host. Leaves nothing behind.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { becomeHost, connectFrom, makeNamespace, type Namespace, run, startEcho } from './demo/world.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PATCHBAY = join(ROOT, 'dist/node/patchbay')
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
  readonly mac: string
  readonly gateways: readonly string[]
  /** The host's end of the veth pair. */
  readonly hostEnd: string
}

/** The part of a CNI result that the demo shows. */
interface CniResult {
  readonly interfaces: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[]
}

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) {
    process.stderr.write('npm run demo needs root, because it makes network namespaces: sudo npm run demo\n')
    return 1
  }
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-demo-'))
  try {
    const host = becomeHost()
    for (const engine of ['native', 'node']) {
      const binDir = join(ROOT, 'dist', engine, 'bin')
      if (existsSync(binDir)) return await show(host, directory, binDir, engine)
    }
    process.stderr.write('no executables in dist: npm run build\n')
    return 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function show(host: Namespace, directory: string, binDir: string, engine: string): Promise<number> {
  say(`A host of its own (a network namespace), two containers, and the plugins of the ${engine} engine in ${binDir}.`)
  const containers = ['red', 'blue'].map(name => ({ name, namespace: makeNamespace() }))
  const flags = ['--conf-dir', directory, '--bin-dir', binDir, '--cache-dir', join(directory, 'cache')]
  writeFileSync(join(directory, `${NETWORK}.conflist`), JSON.stringify(network(directory), undefined, 2))

  say(`\n1. Attach: patchbay attach ${NETWORK} NETNS`)
  const attached = containers.map((container, i) => attach(container, i === 0 ? [...flags, ...publish()] : flags))
  table(attached)
  draw(attached)

  say('2. Talk')
  await talk(containers, attached)

  say(`\n3. Reach ${containers[0]?.name} from the host by its published port ${PUBLISHED_PORT}`)
  await reachPublished(host, containers[0])

  say('\n4. Detach')
  for (const container of containers) {
    patchbay(['detach', NETWORK, container.namespace.path, '--container-id', container.name, ...flags])
  }
  return reportLeftovers(directory)
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
      { type: 'portmap', capabilities: { portMappings: true }, stateDir }
    ]
  }
}

/** As `docker run -p 8080:7` asks for it. */
function publish(): readonly string[] {
  const mapping = { hostPort: PUBLISHED_PORT, containerPort: ECHO_PORT, protocol: 'tcp' }
  return ['--cap', `portMappings=${JSON.stringify([mapping])}`]
}

function patchbay(args: readonly string[]): string {
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
    mac: inside?.mac ?? '',
    gateways: result.ips.map(ip => ip.gateway ?? ''),
    hostEnd: result.interfaces[1]?.name ?? ''
  }
}

function table(attached: readonly Attached[]): void {
  const rows = [['container', 'interface', 'address', 'MAC', 'gateway', 'host end']]
  for (const one of attached) {
    one.addresses.forEach((address, i) => {
      const first = i === 0
      rows.push([
        first ? one.container : '',
        first ? one.ifName : '',
        address,
        first ? one.mac : '',
        one.gateways[i] ?? '',
        first ? one.hostEnd : ''
      ])
    })
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  for (const row of rows) say(`   ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}

/** Two containers below a bridge, each box as wide as what is in it. */
function draw(attached: readonly Attached[]): void {
  const boxes = attached.map(one => {
    const lines = [one.container, one.ifName, ...one.addresses]
    const width = Math.max(one.hostEnd.length, ...lines.map(line => line.length)) + 2
    return { one, lines, width }
  })
  const gap = '    '
  const centre = (text: string, width: number): string => {
    const left = Math.floor((width - text.length) / 2)
    return ' '.repeat(left) + text + ' '.repeat(width - text.length - left)
  }
  const total = boxes.reduce((sum, box) => sum + box.width + 2, 0) + gap.length * (boxes.length - 1)
  const gateways = attached[0]?.gateways.join('  ') ?? ''
  const each = (line: (box: (typeof boxes)[number]) => string): void => {
    say(`   ${boxes.map(line).join(gap)}`.trimEnd())
  }
  say('')
  say(`   ┌${'─'.repeat(total - 2)}┐`)
  say(`   │${centre(`host: bridge ${BRIDGE}`, total - 2)}│`)
  say(`   │${centre(gateways, total - 2)}│`)
  let edge = '─'.repeat(total - 2)
  let offset = 0
  for (const box of boxes) {
    const middle = offset + Math.floor((box.width + 2) / 2) - 1
    edge = `${edge.slice(0, middle)}┬${edge.slice(middle + 1)}`
    offset += box.width + 2 + gap.length
  }
  say(`   └${edge}┘`)
  each(box => centre(box.one.hostEnd, box.width + 2))
  each(box => centre('║ veth', box.width + 2))
  each(box => `┌${'─'.repeat(box.width)}┐`)
  for (let row = 0; row < Math.max(...boxes.map(box => box.lines.length)); row += 1) {
    each(box => `│${centre(box.lines[row] ?? '', box.width)}│`)
  }
  each(box => `└${'─'.repeat(box.width)}┘`)
  say('')
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
        const time = `${reached.milliseconds.toFixed(1)} ms`
        say(
          `   ${source.name} -> ${target.name}  TCP ${address} port ${ECHO_PORT}: answered in ${time}, seen as ${reached.seenAs}`
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
      const time = `${reached.milliseconds.toFixed(1)} ms`
      say(
        `   host -> ${address} port ${PUBLISHED_PORT}: answered by ${container.name} in ${time}, seen as ${reached.seenAs}`
      )
    }
  } finally {
    echo.stop()
  }
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
    say(
      `   nothing is left: no link but the empty bridge ${BRIDGE}, no address lease, no file; the host goes with this process`
    )
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
