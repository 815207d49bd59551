/**
 * The release before this one, built from its commit: what hosts go up from and down to. Its files are in `.cache/previous`, and stay
 * there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_BIN, ROOT } from './project.ts'

/** The last commit that wrote files without a format: what hosts have that follow the main branch. */
export const PREVIOUS_RELEASE = '2e4fa73'

export interface Release {
  readonly name: string
  /** The file behind all plugins. */
  readonly native: string
  /** The command, with both engines beside it as `install` looks for them. */
  readonly command: string
}

/** What dist/ of a directory holds. @throws Error when it is not built */
export function releaseIn(root: string, name: string): Release {
  const native = join(root, 'dist', 'native', 'patchbay-cni')
  const command = join(root, 'dist', 'node', 'patchbay')
  for (const path of [native, command]) if (!existsSync(path)) throw new Error(`find ${name}: ${path} is missing`)
  return { name, native, command }
}

/**
 * Builds a commit, unless that has been done.
 *
 * @throws Error where this clone does not have it, or its build fails
 */
export function buildCommit(commit: string): Release {
  const hash = run('git', ['rev-parse', '--verify', '--quiet', `${commit}^{commit}`], ROOT).trim()
  const root = join(ROOT, '.cache', 'previous', hash)
  const { version } = JSON.parse(run('git', ['show', `${hash}:package.json`], ROOT))
  const name = `${version} (${hash.slice(0, 7)})`
  if (existsSync(root)) return releaseIn(root, name)
  process.stderr.write(`building ${name}, once (3 minutes) ...\n`)
  const unfinished = `${root}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    const archive = join(unfinished, 'source.tar')
    run('git', ['archive', '--output', archive, hash], ROOT)
    run('tar', ['-xf', archive, '-C', unfinished], ROOT)
    rmSync(archive)
    bringPackages(unfinished)
    const node = join(unfinished, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
    for (const engine of ['native', 'node']) run(node, ['--no-warnings', 'build/build.ts', engine], unfinished)
    rmSync(join(unfinished, 'node_modules'), { recursive: true, force: true })
    renameSync(unfinished, root)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return releaseIn(root, name)
}

/** The packages of its lock file: those that are here, where it is the same. */
function bringPackages(root: string): void {
  const lock = (of: string): string => readFileSync(join(of, 'package-lock.json'), 'utf8')
  if (lock(root) === lock(ROOT)) symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  else run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], root)
}

function run(command: string, args: readonly string[], cwd: string): string {
  const env = { ...process.env, PATH: `${join(NODE_BIN, '..')}:${process.env['PATH'] ?? ''}`, NODE_NO_WARNINGS: '1' }
  const child = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (child.status === 0) return child.stdout
  throw new Error(`${command} ${args.join(' ')}: ${child.error?.message ?? ''}${child.stdout}${child.stderr}`)
}
