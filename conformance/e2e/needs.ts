/** What the suites need of the machine, and how to get it. */
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { SECOND_BIN } from './containerd.ts'
import { imageArchives } from './daemon-set.ts'
import { type PluginSet, REFERENCE_DIR, ROOT } from './host.ts'

interface Need {
  readonly name: string
  readonly isMet: () => boolean
  /** Debian package, or what to run. */
  readonly debianPackage?: string
  readonly advice?: string
}

function command(name: string, debianPackage: string): Need {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return { name, debianPackage, isMet: () => folders.some(folder => existsSync(join(folder, name))) }
}

/** The images' only program must run where there is no libc. */
function isStaticBusybox(): boolean {
  const path = '/bin/busybox'
  return existsSync(path) && !readFileSync(path, 'latin1').includes('/ld-linux')
}

/** Needed by every suite. */
const COMMON: readonly Need[] = [
  command('unshare', 'util-linux'),
  command('ip', 'iproute2'),
  command('tc', 'iproute2'),
  command('nft', 'nftables'),
  command('iptables', 'iptables'),
  command('ping', 'iputils-ping'),
  { name: 'a static busybox', debianPackage: 'busybox-static', isMet: isStaticBusybox },
  { name: 'control groups', advice: 'mount them at /sys/fs/cgroup', isMet: () => existsSync('/proc/self/cgroup') }
]

const REFERENCE: Need = {
  name: 'the reference plugins',
  debianPackage: 'containernetworking-plugins',
  isMet: () => existsSync(join(REFERENCE_DIR, 'bridge'))
}

const NAMED: readonly Need[] = [
  { ...REFERENCE, name: 'reference' },
  command('containerd', 'containerd'),
  command('runc', 'runc'),
  command('podman', 'podman'),
  command('etcd', 'etcd-server'),
  { name: 'image', advice: 'npm run image', isMet: () => imageArchives().length === 1 },
  {
    name: 'containerd-2',
    advice: 'it is taken from a newer Debian suite by apt-get; see the message above',
    isMet: () => existsSync(join(SECOND_BIN, 'containerd'))
  }
]

/** The missing ones of these needs, in words; undefined when all are met. */
export function missing(names: readonly string[], set: PluginSet): string | undefined {
  const wanted = [...COMMON, ...NAMED.filter(need => names.includes(need.name)), pluginsOf(set)]
  const unmet = wanted.filter(need => !need.isMet())
  if (unmet.length === 0) return undefined
  const packages = [...new Set(unmet.flatMap(need => need.debianPackage ?? []))]
  const advice = [
    ...(packages.length === 0 ? [] : [`apt-get install ${packages.join(' ')}`]),
    ...unmet.flatMap(need => need.advice ?? [])
  ]
  return `needs ${unmet.map(need => need.name).join(', ')}: ${advice.join('; ')}`
}

function pluginsOf(set: PluginSet): Need {
  if (set === 'reference') return REFERENCE
  const isMet = () =>
    existsSync(join(ROOT, 'dist', set, 'bin', 'bridge')) && existsSync(join(ROOT, 'dist', 'node', 'patchbay'))
  return { name: `dist/${set}`, advice: `npm run ${set === 'node' ? 'build' : 'build:native'}`, isMet }
}
