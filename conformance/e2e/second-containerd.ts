/**
 * A second, newer containerd beside the distribution's: taken from a newer Debian suite through a package view of its own,
 * so that the machine's lists and packages stay as they are. Kept in .cache/e2e.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outcomeOf, run } from './command.ts'
import { SECOND_BIN } from './containerd.ts'
import { STORE } from './host.ts'

const SUITES: readonly string[] = ['forky', 'sid']
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const SOURCES = '/etc/apt/sources.list.d/debian.sources'

/** Fetches it unless it is there; says on standard error why that is not possible. */
export function fetchSecondContainerd(): void {
  if (existsSync(join(SECOND_BIN, 'containerd'))) return
  const problems: string[] = []
  for (const suite of SUITES) {
    try {
      fetchFrom(suite)
      return
    } catch (error) {
      problems.push(`${suite}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  process.stderr.write(`no second containerd: ${problems.join('\n')}\n`)
}

function fetchFrom(suite: string): void {
  const view = join(STORE, `apt-${suite}`)
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(view, folder), { recursive: true })
  writeFileSync(join(view, 'sources.list'), `deb [signed-by=${KEYRING}] ${mirror()} ${suite} main\n`)
  const options = [
    `Dir::Etc::sourcelist=${view}/sources.list`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${view}/lists`,
    `Dir::Cache=${view}/cache`,
    // The files land in a folder that only root may enter.
    'APT::Sandbox::User=root'
  ].flatMap(option => ['-o', option])
  const timeout = 120_000
  try {
    run('apt-get', [...options, '-q', 'update'], { timeout })
    run('sh', ['-c', 'cd "$1" && shift && exec apt-get "$@" download containerd', 'sh', view, ...options], { timeout })
    const archive = readdirSync(view).find(name => name.endsWith('.deb'))
    if (archive === undefined) throw new Error('apt-get download left no package')
    const unpacked = join(view, 'root')
    run('dpkg', ['-x', join(view, archive), unpacked])
    const version = run(join(unpacked, 'usr', 'bin', 'containerd'), ['--version'])
    if (!/ v?2\./.test(version)) throw new Error(`it is no containerd 2: ${version.trim()}`)
    rmSync(join(STORE, 'containerd-2'), { recursive: true, force: true })
    renameSync(unpacked, join(STORE, 'containerd-2'))
  } finally {
    rmSync(view, { recursive: true, force: true })
  }
}

/** The mirror that this machine takes its packages from. */
function mirror(): string {
  const text = existsSync(SOURCES) ? readFileSync(SOURCES, 'utf8') : ''
  const found =
    /^URIs: *(\S+)/m.exec(text)?.[1] ??
    outcomeOf('sh', [
      '-c',
      "sed -n 's/^deb [^h]*\\(http[^ ]*\\).*/\\1/p' /etc/apt/sources.list | head -1"
    ]).stdout.trim()
  if (found === '') throw new Error('find the mirror: neither debian.sources nor sources.list names one')
  return found
}
