/**
 * The world of one case: a host that has only an uplink, containers on demand, and eyes (`ip -j`, `nft`, `tc`, files).
 * It is made anew for every case, so that no case can disturb another.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, type JsonObject, objects, parsed, stable } from './json.ts'
import { Netns } from './netns.ts'
import { freshSysfs, SCRATCH } from './sandbox.ts'
import { ScriptedPlugin } from './scripted-plugin.ts'
import { endStrays, hiddenLines, writtenLines } from './traces.ts'

export const UPLINK = 'uplink'
/** What the uplink leads to: the other end, where traffic can be watched. */
export const WIRE = 'wire0'
const UPLINK_ADDRESS = '192.0.2.2/24'

/** Where plugins keep state, by convention; emptied between cases, compared for leftovers. */
const STATE_FOLDERS = ['/var/lib/cni', '/var/lib/patchbay', '/run/cni', '/run/patchbay', '/etc/cni']

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

let serial = 0

export class World {
  readonly host: Netns
  /** Scripted plugins live here; first in CNI_PATH. */
  readonly scriptDir: string
  /** A folder for the case's own files. */
  readonly folder: string
  readonly #containers: Netns[] = []
  readonly #home: Netns
  readonly #serial: number

  /** @param home the namespace to go back to when the case is over */
  constructor(home: Netns) {
    serial += 1
    this.#serial = serial
    this.#home = home
    for (const folder of STATE_FOLDERS) empty(folder)
    rmSync('/run/xtables.lock', { force: true })
    this.folder = join(SCRATCH, `case-${serial}`)
    this.scriptDir = join(this.folder, 'bin')
    mkdirSync(this.scriptDir, { recursive: true })
    this.host = Netns.make(`host-${serial}`)
    this.host.enter()
    freshSysfs()
    this.ipBatch([
      'link set lo up',
      `link add ${UPLINK} type veth peer name ${WIRE}`,
      `link set ${WIRE} up`,
      `link set ${UPLINK} up`,
      `address add ${UPLINK_ADDRESS} dev ${UPLINK}`,
      `address add 2001:db8:0:2::2/64 dev ${UPLINK} nodad`,
      `route add default via 192.0.2.1 dev ${UPLINK}`,
      `route add default via 2001:db8:0:2::1 dev ${UPLINK}`
    ])
  }

  /** A container's namespace as runtimes make it: only a loopback, which is down. */
  newContainer(name = 'box'): Netns {
    const made = Netns.make(`${name}-${this.#serial}-${this.#containers.length}`)
    this.#containers.push(made)
    return made
  }

  /** A machine at the other end of the uplink: 192.0.2.1 and 2001:db8:0:2::1, which knows no way to containers. */
  outside(): Netns {
    const netns = this.newContainer('outside')
    this.run('ip', 'link', 'set', WIRE, 'netns', netns.path.slice('/run/netns/'.length))
    netns.inside(() =>
      this.ipBatch([
        'link set lo up',
        `link set ${WIRE} up`,
        `address add 192.0.2.1/24 dev ${WIRE}`,
        `address add 2001:db8:0:2::1/64 dev ${WIRE} nodad`
      ])
    )
    return netns
  }

  /** Reads a value below /proc/sys/net where this thread is. */
  sysctl(path: string): string {
    return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim()
  }

  setSysctl(path: string, value: string): void {
    writeFileSync(`/proc/sys/net/${path}`, value)
  }

  scripted(name: string): ScriptedPlugin {
    return new ScriptedPlugin(name, this.scriptDir, join(this.folder, 'records'))
  }

  /** Ends the world; whatever is still in it goes with the namespaces. */
  close(): void {
    this.#home.enter()
    endStrays()
    for (const container of this.#containers) if (!container.isRemoved()) container.remove()
    this.host.remove()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Runs a command, which must succeed, where this thread is. @returns its stdout */
  run(name: string, ...args: readonly string[]): string {
    const child = spawnSync(name, args, { encoding: 'utf8', env: { PATH }, maxBuffer: 1 << 28 })
    if (child.error !== undefined) throw new Error(`run ${name}: ${child.error.message}`)
    if (child.status !== 0)
      throw new Error(`run ${name} ${args.join(' ')}: exit ${child.status}: ${child.stderr.trim()}`)
    return child.stdout
  }

  /** Whether the command succeeds. */
  try(name: string, ...args: readonly string[]): boolean {
    return spawnSync(name, args, { stdio: 'ignore', env: { PATH } }).status === 0
  }

  /** Runs a line of shell. @returns why it failed, undefined when it did not */
  shell(command: string, env: Readonly<Record<string, string>>): string | undefined {
    const child = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8', env: { PATH, ...env } })
    return child.status === 0 ? undefined : `exit ${child.status}: ${child.stderr.trim()}`
  }

  ipBatch(lines: readonly string[]): void {
    const child = spawnSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, encoding: 'utf8', env: { PATH } })
    if (child.error !== undefined) throw new Error(`run ip: ${child.error.message}`)
    if (child.status !== 0) throw new Error(`run ip -batch: exit ${child.status}: ${child.stderr.trim()}`)
  }

  /** The objects that an iproute2 command with -j prints. */
  json(name: string, ...args: readonly string[]): readonly JsonObject[] {
    const text = this.run(name, ...args)
    return objects(text.trim() === '' ? [] : parsed(text))
  }

  links(): readonly JsonObject[] {
    return this.json('ip', '-j', '-d', 'link', 'show')
  }

  /** A link by its name, with details; undefined when there is none. */
  link(name: string): JsonObject | undefined {
    return this.links().find(link => link['ifname'] === name)
  }

  /** Addresses of one link as `a/len`, without link-local ones. */
  addresses(name: string): readonly string[] {
    const [link] = this.json('ip', '-j', 'address', 'show', 'dev', name)
    return objects(link?.['addr_info'])
      .filter(info => info['scope'] !== 'link')
      .map(info => `${info['local']}/${info['prefixlen']}`)
  }

  /** Routes of both families and all tables, without those that the kernel makes by itself. */
  routes(): readonly JsonObject[] {
    const all = ['-4', '-6'].flatMap(family => this.json('ip', '-j', family, 'route', 'show', 'table', 'all'))
    return all.filter(isMadeRoute)
  }

  nftRuleset(): string {
    return this.run('nft', 'list', 'ruleset').replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0')
  }

  /** Everything that plugins could have left on the host, one line per thing, in order. */
  snapshot(): readonly string[] {
    return [...this.networkLines(), ...hiddenLines(this), ...writtenLines()].sort()
  }

  /** Several questions to `ip` at the cost of one process. */
  #ask(family: readonly string[], questions: readonly string[]): readonly (readonly JsonObject[])[] {
    const child = spawnSync('ip', [...family, '-j', '-d', '-batch', '-'], {
      input: `${questions.join('\n')}\n`,
      encoding: 'utf8',
      env: { PATH },
      maxBuffer: 1 << 28
    })
    if (child.status !== 0) throw new Error(`run ip -batch: exit ${child.status}: ${child.stderr.trim()}`)
    // One list after the other, each from the bracket that begins a line.
    const lists = child.stdout.split(/\n(?=\[)/).map(text => objects(parsed(text)))
    if (lists.length !== questions.length) throw new Error(`run ip -batch: ${lists.length} answers: ${child.stdout}`)
    return lists
  }

  networkLines(): readonly string[] {
    const [links = [], held = [], permanent = [], hops = []] = this.#ask(
      [],
      ['link show', 'address show', 'neigh show nud permanent', 'nexthop show']
    )
    const addresses = held.flatMap(link =>
      objects(link['addr_info'])
        // The kernel gives link-local ones of IPv6 by itself.
        .filter(info => info['scope'] !== 'link' || info['family'] === 'inet')
        .map(info => `address ${link['ifname']} ${info['local']}/${info['prefixlen']}`)
    )
    const families = ['-4', '-6'].flatMap(family => {
      const [routes = [], rules = []] = this.#ask([family], ['route show table all', 'rule show'])
      return [
        ...routes.filter(isMadeRoute).map(route => `route ${stable(without(route, ['flags', 'expires', 'metric']))}`),
        ...rules.map(rule => `rule ${family} ${stable(rule)}`)
      ]
    })
    return [
      ...links.map(link => `link ${stable(linkFacts(link))}`),
      ...addresses,
      ...families,
      ...permanent.map(one => `neighbour ${stable(one)}`),
      ...hops.map(one => `nexthop ${stable(one)}`),
      ...this.#bridgeLines(),
      ...this.ruleLines()
    ]
  }

  #bridgeLines(): readonly string[] {
    const fdb = this.json('bridge', '-j', 'fdb', 'show')
      .filter(one => !String(one['mac']).startsWith('33:33') && !String(one['mac']).startsWith('01:00:5e'))
      .filter(one => one['state'] !== 'permanent' || one['dst'] !== undefined)
      // Learned from traffic: the kernel forgets it by itself.
      .filter(one => one['state'] !== '')
      .map(one => `fdb ${stable(one)}`)
    const made = this.json('tc', '-j', 'qdisc', 'show').filter(
      one => one['kind'] !== 'noqueue' && one['kind'] !== 'mq' && one['kind'] !== 'pfifo_fast'
    )
    const qdiscs = made.map(one => `qdisc ${one['kind']} on ${one['dev']}`)
    return [...fdb, ...qdiscs, ...made.flatMap(one => this.#filterLines(one))]
  }

  /** Filters of a queue: those of an interface that several attachments share outlive its queue. */
  #filterLines(qdisc: JsonObject): readonly string[] {
    const dev = String(qdisc['dev'])
    const sides = ['clsact', 'ingress'].includes(String(qdisc['kind'])) ? ['ingress', 'egress'] : ['root']
    return sides
      .flatMap(side => this.json('tc', '-j', 'filter', 'show', 'dev', dev, side))
      .filter(one => one['options'] !== undefined)
      .map(one => `filter on ${dev} ${stable(without(one, ['chain']))}`)
  }

  /** Lines of the ruleset, each with the table and chain it stands in. */
  ruleLines(): readonly string[] {
    const found: string[] = []
    const where: string[] = []
    for (const raw of this.nftRuleset().split('\n')) {
      const line = raw.trim()
      if (line === '}') where.pop()
      else if (line.endsWith('{') && !line.includes('elements')) {
        where.push(line.slice(0, -1).trim())
        found.push(`nft ${where.join(' / ')}`)
      } else if (line !== '' && !line.startsWith('#')) found.push(`nft ${where.join(' / ')}: ${line}`)
    }
    return found
  }
}

/** The folder itself may be a place that something is mounted on. */
/** As on a fresh host: a case before may have opened the folder to everybody, which plugins refuse with good reason. */
function empty(folder: string): void {
  if (!existsSync(folder)) return
  chmodSync(folder, 0o755)
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
}

/** Whether somebody made the route, not the kernel by itself. */
function isMadeRoute(route: JsonObject): boolean {
  return route['protocol'] !== 'kernel'
}

/** What identifies a link and is not chosen by chance or by the kernel. */
function linkFacts(link: JsonObject): JsonObject {
  const info = link['linkinfo']
  const kind = isObject(info) ? info['info_kind'] : undefined
  return {
    name: link['ifname'],
    kind,
    master: link['master'],
    mtu: link['mtu'],
    alias: link['ifalias'],
    names: link['altnames'],
    group: link['group'],
    queue: link['txqlen'],
    // Ports come and go with it by themselves.
    ...(kind === 'veth' && link['master'] === undefined
      ? { promiscuity: link['promiscuity'], mac: link['address'], flags: flagsOf(link) }
      : {})
  }
}

/** Flags that somebody sets; the others follow from what happens. */
function flagsOf(link: JsonObject): readonly unknown[] {
  const flags = Array.isArray(link['flags']) ? link['flags'] : []
  return flags.filter(flag => ['UP', 'NOARP', 'ALLMULTI', 'PROMISC'].includes(String(flag)))
}

function without(value: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
}

/** Lines that are in one list only. */
export function difference(
  before: readonly string[],
  after: readonly string[]
): { readonly added: readonly string[]; readonly removed: readonly string[] } {
  const left = new Map<string, number>()
  for (const line of before) left.set(line, (left.get(line) ?? 0) + 1)
  const added = after.filter(line => {
    const count = left.get(line) ?? 0
    left.set(line, count - 1)
    return count <= 0
  })
  const removed = [...left].flatMap(([line, count]) => (count > 0 ? [line] : []))
  return { added, removed }
}
