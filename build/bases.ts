/**
 * `npm run test:bases`: what was built here, on Debian's older and newer base systems: the native plugins, the Node engine's, and the
 * command that installs either. Each system is fetched once, by debootstrap from this machine's own mirror, into `.cache/bases`.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { OtherRoot } from '../lib/testing/other-root.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { ENGINES, executable, pluginFolders, ROOT } from './project.ts'

/** With glibc 2.28, 2.31 and 2.41. The first has gone from the mirrors to an archive, which few machines name. */
const SUITES = ['buster', 'bullseye', 'trixie']
/** What Node's executable needs beside the C library, and the smallest system lacks. */
const LIBRARIES = 'libatomic1,libstdc++6'
const FOLDER = join(ROOT, '.cache', 'bases')
/** Where the command lies in a package: the native engine is looked for beside its directory. */
const PROGRAM = 'usr/lib/patchbay'

/** @returns why there is none; '' when there is */
function fetched(suite: string): string {
  const root = join(FOLDER, suite)
  if (existsSync(root)) return ''
  const targets = spawnSync('apt-get', ['indextargets', '--format', '$(ORIGIN) $(CODENAME) $(REPO_URI)'], {
    encoding: 'utf8'
  })
  const mirror = /^Debian [a-z]+ (\S+)$/m.exec(targets.stdout ?? '')?.[1]
  if (mirror === undefined) return 'no repository of Debian is among those of apt'
  process.stderr.write(`fetching ${suite}, once (2 minutes) ...\n`)
  const unfinished = `${root}.${process.pid}`
  mkdirSync(FOLDER, { recursive: true })
  try {
    const child = spawnSync('debootstrap', ['--variant=minbase', `--include=${LIBRARIES}`, suite, unfinished, mirror], {
      encoding: 'utf8'
    })
    if (child.error !== undefined) return `${child.error.message}: apt-get install debootstrap`
    if (child.status !== 0) return `debootstrap: ${child.stderr || child.stdout}`.trim().split('\n').at(-1) ?? ''
    renameSync(unfinished, root)
    return ''
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/** @throws Error saying what did not work */
function judge(suite: string): void {
  const base = new OtherRoot(join(FOLDER, suite))
  const names = pluginFolders().map(folder => folder.name)
  for (const engine of ENGINES) base.put(executable(engine), names).wires()
  const program = join(base.directory, PROGRAM)
  rmSync(program, { recursive: true, force: true })
  for (const engine of ENGINES) {
    const path = join(program, engine, basename(executable(engine)))
    mkdirSync(dirname(path), { recursive: true })
    copyFileSync(executable(engine), path)
  }
  base.takeAway()
  base.run(`/${PROGRAM}/node/patchbay`, 'install', '/opt/cni/bin')
  base.wires()
}

/** Those that are here, as far as they can be had; says why where not. */
function fetchAll(): readonly string[] {
  return SUITES.filter(suite => {
    const why = fetched(suite)
    if (why !== '') process.stdout.write(`not run: ${suite}: ${why}\n`)
    return why === ''
  })
}

/** @param chosen of the copy that has mounts of its own */
function main(chosen: readonly string[]): void {
  // The copy has no lists of apt's.
  withPrivateMounts(import.meta.filename, chosen.length > 0 ? chosen : fetchAll())
  for (const suite of chosen) {
    judge(suite)
    process.stdout.write(`ok ${suite}: both engines wire a container, and the command installs\n`)
  }
}

try {
  main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`bases: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
