/**
 * What plugins can leave where `ip` and `nft` do not look: rules of iptables-legacy, sets of ipset, IPsec, kernel parameters,
 * processes, mounts, named namespaces, and files anywhere.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from './libc.ts'
import { LAYERS, layers, SCRATCH } from './sandbox.ts'

/** As much of a world as is needed here. */
interface Host {
  run(name: string, ...args: readonly string[]): string
}

/** Lines of the host for what the kernel keeps besides links, addresses, routes, rules and queues. */
export function hiddenLines(host: Host): readonly string[] {
  return [
    ...legacyLines(host),
    ...setLines(host),
    ...xfrmLines(host),
    ...parameterLines(),
    ...processLines(),
    ...mountLines(),
    ...namespaceLines()
  ]
}

/** Rules in tables of iptables-legacy, which nft does not show. Asked only when a table is there: asking makes them. */
function legacyLines(host: Host): readonly string[] {
  return [
    ['/proc/thread-self/net/ip_tables_names', 'iptables-legacy-save'],
    ['/proc/thread-self/net/ip6_tables_names', 'ip6tables-legacy-save']
  ].flatMap(([names = '', command = '']) => {
    if (textOf(names).trim() === '') return []
    const rules = host.run(command).split('\n')
    return rules.filter(line => line.startsWith('-') || /^:\S+ -/.test(line)).map(line => `${command} ${line}`)
  })
}

let hasIpset: boolean | undefined

function setLines(host: Host): readonly string[] {
  if (hasIpset === false) return []
  try {
    const lines = host.run('ipset', 'save').split('\n')
    hasIpset = true
    return lines.filter(line => line !== '').map(line => `ipset ${line}`)
  } catch {
    hasIpset = false
    return []
  }
}

/** Associations and policies of IPsec. */
function xfrmLines(host: Host): readonly string[] {
  return ['state', 'policy'].flatMap(what =>
    host
      .run('ip', 'xfrm', what)
      .split('\n')
      .filter(line => line.startsWith('src '))
      .map(line => `xfrm ${what} ${line}`)
  )
}

/** What is mounted, but for namespaces and the suite's own. */
function mountLines(): readonly string[] {
  const points = textOf('/proc/thread-self/mountinfo')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
  const own = (point: string) => point === '' || point === '/sys' || point.startsWith(NAMED) || isOwn(point)
  return points.filter(point => !own(point)).map(point => `mount ${point}`)
}

const NAMED = '/run/netns'

/** Namespaces of the suite's own: hosts, containers and the worker's home. */
const OWN_NAMESPACE = /^(host|box|outside|stranger|plain)-\d+(-\d+)?$|^judge-home$/

function namespaceLines(): readonly string[] {
  return namesIn(NAMED)
    .filter(name => !OWN_NAMESPACE.test(name))
    .map(name => `namespace ${name}`)
}

/** Parameters of the namespace itself and of the interfaces that every host of a case has. */
const PARAMETERS = [
  'core',
  'ipv4',
  'ipv4/route',
  'ipv6',
  'ipv6/route',
  'unix',
  'ipv4/neigh/default',
  'ipv6/neigh/default',
  ...['all', 'default', 'lo', 'uplink'].flatMap(name => [`ipv4/conf/${name}`, `ipv6/conf/${name}`]),
  'bridge',
  'netfilter'
]

/** Counters, clocks and secrets: they change by themselves, or cannot be read. */
const RESTLESS = /count$|stable_secret|_thresh_left|\/fib_sync|tcp_fastopen_key|_flush$|\/flush$/

function parameterLines(): readonly string[] {
  return PARAMETERS.flatMap(folder => {
    const path = `/proc/sys/net/${folder}`
    // A folder reads as nothing.
    return namesIn(path)
      .filter(name => !RESTLESS.test(name))
      .map(name => `sysctl net/${folder}/${name} ${textOf(join(path, name)).trim()}`)
  })
}

/** Processes of the sandbox that are neither the suite's own nor about to be gone. */
function strays(): readonly { readonly pid: number; readonly command: string }[] {
  return namesIn('/proc')
    .filter(name => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .flatMap(name => {
      const stat = textOf(`/proc/${name}/stat`)
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const command = textOf(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim()
      // What the suite itself started has it for a parent and is no orphan; a zombie is none any more.
      const isOrphan = Number(parent) === 1 && !/--probe|^sleep 60$/.test(command)
      return state === 'Z' || command === '' || !isOrphan ? [] : [{ pid: Number(name), command }]
    })
}

function processLines(): readonly string[] {
  return strays().map(({ command }) => `process ${command}`)
}

/** Ends what was left running, so that the next case does not meet it. */
export function endStrays(): void {
  for (const { pid } of strays()) kill(pid, 9)
}

/** Folders in memory in which everything was written since the sandbox was made. */
function writtenFolders(): readonly (readonly [string, string])[] {
  return [...layers(), ['/run', '/run']]
}

/** The suite's own, and locks that programs of the system leave empty. */
const OWN_PATHS = [LAYERS, SCRATCH, NAMED, '/run/xtables.lock', '/run/ebtables.lock', '/tmp/node-compile-cache']

function isOwn(path: string): boolean {
  return [LAYERS, SCRATCH].some(folder => `${path}/`.startsWith(`${folder}/`))
}

/** A log tells what happened to containers that are gone, and grows. */
const LOG = /^\/var\/log\/|\.log$/

/** Containers and addresses of the suite's own. */
const OWN_NAMES = /\bjudge-[\w.-]*\w|\b10\.(?:77|88)\.\d+\.\d+|\bfd(?:77|88):[0-9a-f:]+/gi

/** Whom a file speaks of: what else is in it, such as a time or a revision, is no trace of a container. */
function namedIn(content: string): readonly string[] {
  return (content.match(OWN_NAMES) ?? []).sort()
}

/** Paths of all files that were written anywhere, each with the containers and addresses that it names. */
export function writtenLines(): readonly string[] {
  return writtenFolders().flatMap(([shown, folder]) => fileLines(shown, folder))
}

/** Files and folders that were written anywhere and that others than their owner may change. */
export function openPaths(): readonly string[] {
  return writtenFolders().flatMap(([shown, folder]) => openBelow(shown, folder))
}

function openBelow(shown: string, folder: string): readonly string[] {
  return namesIn(folder).flatMap(name => {
    const path = `${shown}/${name}`
    const found = OWN_PATHS.includes(path) ? undefined : lstatSync(join(folder, name), { throwIfNoEntry: false })
    if (found === undefined || !(found.isFile() || found.isDirectory())) return []
    // In a folder like /tmp nobody can change what is another's.
    const isOpen = (found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0
    return [...(isOpen ? [path] : []), ...(found.isDirectory() ? openBelow(path, join(folder, name)) : [])]
  })
}

function fileLines(shown: string, folder: string): readonly string[] {
  return namesIn(folder).flatMap(name => {
    const path = `${shown}/${name}`
    const real = join(folder, name)
    if (OWN_PATHS.includes(path)) return []
    const found = lstatSync(real, { throwIfNoEntry: false })
    if (found === undefined) return []
    // What is gone from below is a device here, not a file.
    if (found.isCharacterDevice()) return []
    if (found.isDirectory()) return fileLines(path, real)
    if (LOG.test(path)) return [`file ${path} []`]
    const content = found.isFile() ? textOf(real) : found.isSymbolicLink() ? readlinkSync(real) : ''
    return [`file ${path} ${JSON.stringify(namedIn(content))}`]
  })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The text of a file of the kernel's, empty when it cannot be read or is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
