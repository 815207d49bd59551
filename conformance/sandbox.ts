/**
 * A throw-away machine for the judge: own mounts, network and processes; what plugins write to /run, /var, /etc or
 * /tmp lands in memory and is gone with it. Nothing of the real machine's network can be reached from inside.
 */
import { type StdioOptions, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { MS_BIND, mount, unmount } from './libc.ts'

const MARK = 'PATCHBAY_CONFORMANCE_SANDBOX'
/** Values of the variable: who the sandbox was made by. */
const BY_ROOT = 'root'
const BY_USER = 'user'

/** Where the suite keeps what belongs to one run; inside the sandbox's private /run. */
export const SCRATCH = '/run/patchbay-conformance'

export function isInside(): boolean {
  return process.env[MARK] !== undefined
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** Options by which somebody who is not root becomes it, in a namespace of users. */
function asRoot(): readonly string[] {
  return isRoot() ? [] : ['--user', '--map-root-user']
}

/** The command that starts the command `args` in a sandbox. */
export function sandboxCommand(args: readonly string[]): readonly string[] {
  const flags = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  return ['unshare', ...asRoot(), ...flags, '--', ...args]
}

export function sandboxEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, [MARK]: isRoot() && process.env[MARK] !== BY_USER ? BY_ROOT : BY_USER }
}

/** Why no sandbox can be made here; undefined when one can. Measuring needs the machine's root, judging a namespace's. */
export function whyNoSandbox(who: 'root' | 'anybody' = 'root'): string | undefined {
  if (!isRoot() && who === 'root') return 'needs root: it makes network namespaces'
  const [command = '', ...args] = sandboxCommand(['true'])
  const probe = spawnSync(command, args, { encoding: 'utf8' })
  if (probe.error !== undefined) return 'needs the command unshare (Debian package util-linux)'
  if (probe.status === 0) return undefined
  const why = probe.stderr.trim()
  return isRoot() ? `cannot make namespaces: ${why}` : `needs root, or a kernel that gives users namespaces: ${why}`
}

/** The descriptor on which the program inside hands its report to the one outside. */
const REPORT_FD = 3

/** Hands a report to the process outside, which alone can write files that last. */
export function handOut(report: unknown): void {
  const bytes = Buffer.from(JSON.stringify(report))
  let done = 0
  while (done < bytes.length) done += writeSync(REPORT_FD, bytes, done)
}

/**
 * Runs this very program again inside a sandbox; its terminal is ours.
 * @returns what it handed out, undefined when nothing, and its exit status
 */
export function runInside(
  script: string,
  argv: readonly string[]
): { readonly status: number; readonly report: unknown } {
  const [command = '', ...args] = sandboxCommand([process.execPath, '--no-warnings', script, ...argv])
  const stdio: StdioOptions = ['inherit', 'inherit', 'inherit', 'pipe']
  const child = spawnSync(command, args, { stdio, env: sandboxEnvironment(), maxBuffer: 1 << 30, encoding: 'utf8' })
  if (child.error !== undefined) throw new Error(`run ${command}: ${child.error.message}`)
  const text: unknown = child.output[REPORT_FD]
  const report: unknown = typeof text === 'string' && text !== '' ? JSON.parse(text) : undefined
  return { status: child.status ?? 128 + (constants.signals[child.signal ?? 'SIGKILL'] ?? 9), report }
}

/** Where what was written is kept: one folder for each place that is covered. */
export const LAYERS = '/run/.layers'

/** What root writes to in any case: where a user's layer cannot take the writes to a folder of root's, it is empty. */
const WRITTEN = ['/etc/cni', '/var/lib', '/var/log', '/opt', '/srv', '/mnt']

/** Places in which whatever is written lands in memory, and can be told from what was there. */
const LAYERED = ['/etc', '/var', '/opt', '/srv', '/usr', '/root', '/home', '/mnt', '/media']

/** Whether the folder can be covered without hiding something that is needed: a mount below it would not show. */
function canCover(target: string, needed: readonly string[]): boolean {
  try {
    if (!lstatSync(target).isDirectory()) return false
    const device = statSync(target).dev
    return needed
      .filter(path => `${path}/`.startsWith(`${target}/`) && existsSync(path))
      .every(path => statSync(path).dev === device)
  } catch {
    return false
  }
}

/** The folder that holds what was written below `target`: one name, whatever it is below. */
function layerOf(target: string): string {
  return join(LAYERS, encodeURIComponent(target))
}

/** The places that are covered, each with the folder that holds what was written there. */
export function layers(): readonly (readonly [string, string])[] {
  const names = existsSync(LAYERS) ? readdirSync(LAYERS).filter(name => !name.endsWith('.work')) : []
  return names.map(name => [decodeURIComponent(name), join(LAYERS, name)])
}

/** An empty folder in memory in its place. */
function replace(target: string): void {
  const upper = layerOf(target)
  mkdirSync(upper, { recursive: true })
  chmodSync(upper, 0o1777)
  mount('none', target, { source: upper, flags: MS_BIND })
}

/** The folder as it is, with a layer in memory that takes all changes. */
function cover(target: string): void {
  const upper = layerOf(target)
  const work = `${upper}.work`
  mkdirSync(upper, { recursive: true })
  mkdirSync(work, { recursive: true })
  mount('overlay', target, { data: `lowerdir=${target},upperdir=${upper},workdir=${work}` })
}

/** Makes the mounts; the first thing to do inside. `keep` are paths that must stay visible (plugin directories). */
export function furnish(keep: readonly string[]): void {
  // Folders only: where the root is an overlay, as in a container, a file has another device than the folder it is in.
  const needed = [process.cwd(), dirname(process.argv[1] ?? '/'), dirname(process.execPath), ...keep]
  const hides = (target: string) => needed.some(path => `${path}/`.startsWith(`${target}/`))
  mount('tmpfs', '/run', { data: 'mode=755' })
  mkdirSync(LAYERS)
  const byRoot = process.env[MARK] !== BY_USER
  const overlay = byRoot && readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n')
  const covered = LAYERED.filter(target => overlay && canCover(target, needed))
  for (const target of covered) cover(target)
  const isCovered = (target: string) => covered.some(one => `${target}/`.startsWith(`${one}/`))
  for (const target of WRITTEN) if (!isCovered(target) && existsSync(target) && !hides(target)) replace(target)
  if (!hides('/tmp')) replace('/tmp')
  else if (overlay && canCover('/tmp', needed)) cover('/tmp')
  freshSysfs()
  for (const folder of [SCRATCH, '/run/netns']) if (!existsSync(folder)) mkdirSync(folder, { recursive: true })
  // `ip netns add` makes it one when it is none, with all that is mounted below mounted once more.
  mount('none', '/run/netns', { source: '/run/netns', flags: MS_BIND })
}

/** Makes /sys show the network namespace that this thread is in. */
export function freshSysfs(): void {
  try {
    unmount('/sys')
  } catch {
    // In a user's sandbox the machine's own cannot be taken away, only covered.
  }
  mount('sysfs', '/sys')
}
