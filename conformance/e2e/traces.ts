/** What containers leave in the kernel and on disk: empty when all of them are gone. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { outcomeOf, run } from './command.ts'
import { CACHE_DIR, UPLINK } from './host.ts'

interface Link {
  readonly ifname: string
  readonly linkinfo?: { readonly info_kind?: string }
}

/** Links that are neither the host's own nor a bridge, which waits for the next container. */
function linksLeft(): readonly string[] {
  const links: readonly Link[] = JSON.parse(run('ip', ['-j', '-d', 'link', 'show']))
  const own = links.filter(one => !['lo', UPLINK].includes(one.ifname) && one.linkinfo?.info_kind !== 'bridge')
  return own.map(one => `link ${one.ifname}`)
}

/** Address leases of host-local. */
export function leasesLeft(): readonly string[] {
  return filesBelow(join(CACHE_DIR, 'networks'))
    .filter(path => /\/[0-9a-f]+[.:][0-9a-f.:]+$/i.test(path))
    .map(path => `lease ${path}`)
}

/** What the runtime remembers of attachments, and what our plugins do. */
export function recordsLeft(): readonly string[] {
  // What the agent notes for itself stays as long as it runs.
  const journal = filesBelow('/run/patchbay').filter(path => path.endsWith('.json') && !path.includes('/agent/'))
  const tuning = filesBelow('/run/cni').filter(path => path.endsWith('.json'))
  return [...journal, ...tuning, ...filesBelow(join(CACHE_DIR, 'results'))].map(path => `record ${path}`)
}

/** Rules and set elements that name one of these texts: container ids, addresses of containers, host ports. */
export function rulesNaming(texts: readonly string[]): readonly string[] {
  const found = ruleLines().filter(line =>
    texts.some(text => new RegExp(`(?<![\\w.:])${escaped(text)}(?![\\w.:])`).test(line))
  )
  return found.map(line => `rule ${line}`)
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** The whole packet filter as lines, without counters, in no order that matters. */
export function ruleLines(): readonly string[] {
  const nft = run('nft', ['-s', 'list', 'ruleset']).split('\n')
  const legacy = ['iptables-legacy-save', 'ip6tables-legacy-save'].flatMap(program => legacyLines(program))
  return [...nft, ...legacy]
    .map(line => line.trim().replace(/counter packets \d+ bytes \d+ ?/, ''))
    .filter(line => line !== '')
}

/** Asking iptables-legacy makes its tables; only tables that are there are asked. */
function legacyLines(program: string): readonly string[] {
  const names = `/proc/net/${program.startsWith('ip6') ? 'ip6' : 'ip'}_tables_names`
  if (!existsSync(names) || readFileSync(names, 'utf8') === '') return []
  const lines = outcomeOf(program, []).stdout.split('\n')
  return lines.map(line => line.replace(/\[\d+:\d+\]/, '')).filter(line => line !== '' && !line.startsWith('#'))
}

/** Mounts of this mount namespace. */
export function mountPoints(): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(path => path !== '')
}

/** Living processes beside this one, its parents and kernel threads, as `PID NAME`. */
export function processes(): readonly string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid && name !== '1')
    .flatMap(pid => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return state === 'Z' || command === '' ? [] : [`process ${pid} ${command}`]
      } catch {
        return []
      }
    })
}

function filesBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

/** Everything that is left of containers; empty when nothing is. */
export function left(): readonly string[] {
  return [...linksLeft(), ...leasesLeft(), ...recordsLeft()]
}
