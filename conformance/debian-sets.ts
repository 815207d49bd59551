/**
 * Plugin sets of others that Debian packages, of this release and of its newest suite: fetched through apt, which checks their
 * signatures, and unpacked below .cache; of the machine nothing changes.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface DebianSet {
  readonly label: string
  readonly packageName: string
  /** This machine's own when left out. */
  readonly suite?: string
  /** Below the project's folder: what has to be told of a plugin in it. */
  readonly profile?: string
}

const SETS: readonly DebianSet[] = [
  { label: 'reference', packageName: 'containernetworking-plugins' },
  { label: 'reference', packageName: 'containernetworking-plugins', suite: 'sid' },
  {
    label: 'dnsname',
    packageName: 'golang-github-containernetworking-plugin-dnsname',
    profile: 'docs/submissions/dnsname.profile.json'
  }
]

export interface FoundSet {
  /** Label and version: `reference-1.9.1`. */
  readonly name: string
  readonly dir: string
  readonly profile?: string
}

/** @throws Error with what apt says */
export function debianSets(cache: string): readonly FoundSet[] {
  return SETS.map(one => {
    const folder = join(cache, `${one.label}-${one.suite ?? 'stable'}`)
    if (!existsSync(folder)) fetchSet(one, folder)
    const deb = readdirSync(folder).find(name => name.endsWith('.deb')) ?? ''
    const [, version = ''] = deb.split('_')
    const dir = join(folder, 'usr', 'lib', 'cni')
    const name = `${one.label}-${version.replace(/[+-].*/, '')}`
    return one.profile === undefined ? { name, dir } : { name, dir, profile: one.profile }
  })
}

function fetchSet({ packageName, suite }: DebianSet, folder: string): void {
  process.stderr.write(`fetching ${packageName}${suite === undefined ? '' : ` of ${suite}`} ...\n`)
  const unfinished = `${folder}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    const options = suite === undefined ? [] : viewOf(suite, unfinished)
    if (suite !== undefined) run('apt-get', '-q', ...options, 'update')
    run('env', '-C', unfinished, 'apt-get', '-q', ...options, '-o', 'APT::Sandbox::User=root', 'download', packageName)
    const deb = readdirSync(unfinished).find(name => name.endsWith('.deb')) ?? ''
    run('dpkg-deb', '--extract', join(unfinished, deb), unfinished)
    renameSync(unfinished, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/** apt's options for another suite of the mirror that this machine uses; its own lists stay as they are. */
function viewOf(suite: string, folder: string): readonly string[] {
  const [mirror = ''] = run('apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages').split('\n')
  const list = join(folder, 'suite.list')
  writeFileSync(list, `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} ${suite} main\n`)
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, name), { recursive: true })
  const places = [
    `Dir::Etc::sourcelist=${list}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::Lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`
  ]
  return ['APT::Sandbox::User=root', ...places].flatMap(option => ['-o', option])
}

function run(command: string, ...args: readonly string[]): string {
  const child = spawnSync(command, args, { encoding: 'utf8' })
  if (child.status === 0) return child.stdout
  throw new Error(`run ${command} ${args.join(' ')}: ${child.error?.message ?? child.stderr.trim()}`)
}
