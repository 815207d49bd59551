/**
 * The machine that a suite has to itself: own network, mounts and processes, made by ../sandbox.ts. The directories that
 * runtimes and plugins use by custom (/etc/cni/net.d, /opt/cni/bin, /var/lib/cni, /run/cni) are its own, so that
 * configuration is used here exactly as it is written for real machines.
 *
 *      this host                              another machine
 *      uplink 198.51.100.1  ---- veth ----    uplink 198.51.100.2
 *             2001:db8:51::1                         2001:db8:51::2
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { MS_BIND, mount, unmount } from '../libc.ts'
import { run } from './command.ts'

export const ROOT = resolve(import.meta.dirname, '..', '..')
export const CONF_DIR = '/etc/cni/net.d'
export const BIN_DIR = '/opt/cni/bin'
export const CACHE_DIR = '/var/lib/cni'
export const REFERENCE_DIR = '/usr/lib/cni'
/** Where runtimes keep what is theirs; in memory. */
export const SCRATCH = '/run/patchbay-e2e'
/** What lasts between runs: images and the second containerd. */
export const STORE = join(ROOT, '.cache', 'e2e')

/** The other machine on the host's network. */
export const OUTSIDE = '/run/netns/outside'
export const UPLINK = 'uplink'
export const HOST_IPV4 = '198.51.100.1'
export const OUTSIDE_IPV4 = '198.51.100.2'
export const HOST_IPV6 = '2001:db8:51::1'
export const OUTSIDE_IPV6 = '2001:db8:51::2'

/** Whose plugins are tried. */
export type PluginSet = 'native' | 'node' | 'reference'

const MS_REC = 16384

/** Makes directories and network; the first thing to do inside the sandbox. */
export function furnish(): void {
  unmountBelowRun()
  mount('tmpfs', '/run', { data: 'mode=755' })
  for (const target of ['/etc', '/var', '/opt', '/tmp', '/root']) coverWithOverlay(target)
  freshSysfs()
  for (const folder of [SCRATCH, '/run/netns', CONF_DIR, BIN_DIR]) mkdirSync(folder, { recursive: true })
  for (const folder of [CONF_DIR, BIN_DIR, CACHE_DIR, '/run/cni']) emptyFolder(folder)
  process.env['HOME'] = '/root'
  makeNetwork()
}

/**
 * A runtime that looks up how /run/netns is mounted must not find the machine's, which our /run would hide. Only this mount
 * namespace changes.
 */
function unmountBelowRun(): void {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
  for (const path of points.filter(one => one.startsWith('/run/')).reverse()) unmount(path)
}

/** What is written below `target` lands in memory; what is there stays readable. */
function coverWithOverlay(target: string): void {
  const upper = `/run/.layers${target}/upper`
  const work = `/run/.layers${target}/work`
  for (const folder of [upper, work]) mkdirSync(folder, { recursive: true })
  mount('overlay', target, { data: `lowerdir=${target},upperdir=${upper},workdir=${work}` })
}

/** /sys as this network namespace sees it. The control groups below it are kept: containers need them. */
function freshSysfs(): void {
  const aside = '/run/.cgroup'
  mkdirSync(aside)
  mount('none', aside, { source: '/sys/fs/cgroup', flags: MS_BIND | MS_REC })
  unmount('/sys')
  mount('sysfs', '/sys')
  mount('none', '/sys/fs/cgroup', { source: aside, flags: MS_BIND | MS_REC })
  unmount(aside)
}

function emptyFolder(folder: string): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
}

function makeNetwork(): void {
  const outside = basename(OUTSIDE)
  run('ip', ['link', 'set', 'lo', 'up'])
  run('ip', ['netns', 'add', outside])
  run('ip', ['link', 'add', UPLINK, 'type', 'veth', 'peer', 'name', UPLINK, 'netns', outside])
  run('ip', ['link', 'set', UPLINK, 'up'])
  run('ip', ['-n', outside, 'link', 'set', UPLINK, 'up'])
  run('ip', ['-n', outside, 'link', 'set', 'lo', 'up'])
  for (const [own, other] of [
    [`${HOST_IPV4}/24`, `${OUTSIDE_IPV4}/24`],
    [`${HOST_IPV6}/64`, `${OUTSIDE_IPV6}/64`]
  ] as const) {
    const flags = own.includes(':') ? ['nodad'] : []
    run('ip', ['address', 'add', own, 'dev', UPLINK, ...flags])
    run('ip', ['-n', outside, 'address', 'add', other, 'dev', UPLINK, ...flags])
  }
}

/** Puts plugins where runtimes look for them: ours by our own command, the reference's by copying. */
export function installPlugins(set: PluginSet): void {
  if (set === 'reference') {
    for (const name of readdirSync(REFERENCE_DIR)) {
      rmSync(join(BIN_DIR, name), { force: true })
      copyFileSync(join(REFERENCE_DIR, name), join(BIN_DIR, name))
    }
    return
  }
  run(join(ROOT, 'dist', 'node', 'patchbay'), ['install', BIN_DIR, '--engine', set])
}

/** The text of a configuration from docs/runtimes, as it is shipped. */
export function shippedConfig(name: string): string {
  return readFileSync(join(ROOT, 'docs', 'runtimes', name), 'utf8')
}

/** Puts a network's configuration where runtimes look for it, at once: they watch the directory. */
export function configure(fileName: string, text: string): void {
  const fresh = join(CONF_DIR, `.${fileName}.new`)
  writeFileSync(fresh, text)
  renameSync(fresh, join(CONF_DIR, fileName))
}

export function unconfigure(fileName: string): void {
  rmSync(join(CONF_DIR, fileName), { force: true })
}
