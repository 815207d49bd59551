// Runs one of the project's tasks under the Node that the lock file pins, whatever Node started this file.
// Plain JavaScript for Node >= 18: it must work before anything is installed.
//
//     node build/run.mjs TASK [arguments]

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Each task: the program it runs and its first arguments. `first` are tasks that must have run before. */
const TASKS = {
  setup: {},
  build: { script: 'build/build.ts', args: ['node'] },
  'build:native': { script: 'build/build.ts', args: ['native'] },
  'build:wanted': { script: 'build/build.ts', args: ['node', 'native', '--if-stale', '--native-if-possible'] },
  'build:command': { script: 'build/build.ts', args: ['node', '--if-stale'] },
  'native-order': { script: 'build/native-order-list.ts' },
  lock: { script: 'build/lock.ts', args: ['--write'] },
  test: { script: 'build/test.ts' },
  'in-guest': { script: 'build/in-guest.ts', first: ['build:wanted'] },
  'test:arm64': { script: 'build/arm64.ts' },
  'test:upgrade': { script: 'build/upgrade.ts', first: ['build:wanted'] },
  'test:bases': { script: 'build/bases.ts', first: ['build:wanted'] },
  'test:guest': { script: 'build/test.ts', args: ['--suites=guest'] },
  check: { script: 'node_modules/typescript/bin/tsc', args: ['-p', '.'], first: ['check:page'] },
  'check:page': { script: 'node_modules/typescript/bin/tsc', args: ['-p', 'cli/ui/page'] },
  lint: { script: 'build/lint.ts' },
  format: { script: 'build/lint.ts', args: ['--write'] },
  demo: { script: 'cli/demo.ts', first: ['build:command'] },
  'simulate:overlay': { script: 'cli/simulate-overlay.ts', first: ['build:wanted'] },
  'bench:services': { script: 'cli/bench-services.ts' },
  'demo:services': { script: 'cli/demo-services.ts', first: ['build:wanted'] },
  'demo:overlay': { script: 'cli/demo-overlay.ts', first: ['build:wanted'] },
  recording: { script: 'build/recording.ts', first: ['build:wanted'] },
  bench: { script: 'conformance/bench.ts', first: ['build:wanted'] },
  conformance: { script: 'conformance/main.ts', first: ['build:wanted'] },
  scoreboard: { script: 'conformance/scoreboard.ts', first: ['build:wanted'] },
  image: { script: 'build/release/release.ts', args: ['--from-dist', '--only', 'image'] },
  e2e: { script: 'conformance/e2e.ts', first: ['build:wanted', 'image'] },
  fuzz: { script: 'fuzz/main.ts', first: ['build:wanted'] },
  'release:version': { script: 'build/release/version.ts' },
  'release:figures': { script: 'build/release/figures.ts' },
  release: { script: 'build/release/release.ts' },
  'plugins:install': { script: 'cli/main.ts', args: ['install'], first: ['build:wanted'] }
}

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const nodePackage = `node-linux-${process.arch}`
const nodeBin = join(root, 'node_modules', nodePackage, 'bin')

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** What differs between the lock file and node_modules, or '' when they agree. */
function whatIsMissing() {
  const wanted = readJson(join(root, 'package-lock.json'))
  if (wanted === undefined) throw new Error('read package-lock.json: missing or torn')
  const present = readJson(join(root, 'node_modules', '.package-lock.json'))
  if (present === undefined) return 'node_modules is missing'
  if (!existsSync(join(nodeBin, 'node'))) return `${nodePackage} is missing`
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (path === '') continue
    const found = present.packages[path]
    // Packages for other processors and systems are in the lock but never here.
    if (found === undefined && entry.optional) continue
    if (found === undefined) return `${path} is missing`
    if (found.version !== entry.version || found.integrity !== entry.integrity) return `${path} is not ${entry.version}`
  }
  return ''
}

/** Installs exactly the lock file's packages; their install scripts do not run. */
function install() {
  const why = whatIsMissing()
  if (why === '') return
  process.stderr.write(`setting up: ${why}; running npm ci (about 700 MB on disk)\n`)
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const child =
    npm !== undefined && /npm-cli\.[cm]?js$/.test(npm)
      ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
      : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (child.error) throw new Error(`run npm ci: ${child.error.message}`)
  if (child.status !== 0) throw new Error(`run npm ci: exit ${child.status ?? child.signal}`)
  const still = whatIsMissing()
  if (still !== '') throw new Error(`run npm ci: it succeeded, but ${still}`)
}

/** Runs a task and returns its exit status. */
function runTask(name, rest) {
  const task = TASKS[name]
  if (task.script === undefined) return 0
  for (const before of task.first ?? []) {
    const status = runTask(before, [])
    if (status !== 0) return status
  }
  const script = join(root, task.script)
  if (!existsSync(script)) {
    process.stderr.write(`${name}: ${task.script} is not part of this version\n`)
    return 1
  }
  const env = { ...process.env, PATH: `${nodeBin}${delimiter}${process.env.PATH ?? ''}`, NODE_NO_WARNINGS: '1' }
  const args = ['--no-warnings', script, ...(task.args ?? []), ...rest]
  const child = spawnSync(join(nodeBin, 'node'), args, { cwd: root, env, stdio: 'inherit' })
  if (child.error) throw new Error(`run ${task.script}: ${child.error.message}`)
  return child.status ?? 128 + (constants.signals[child.signal] ?? 0)
}

function main() {
  const [name, ...rest] = process.argv.slice(2)
  if (name === undefined || !Object.hasOwn(TASKS, name)) {
    process.stderr.write(`usage: node build/run.mjs ${Object.keys(TASKS).join('|')} [arguments]\n`)
    return 2
  }
  if (process.platform !== 'linux') throw new Error(`set up: this is Linux software, not for ${process.platform}`)
  install()
  return runTask(name, rest)
}

try {
  process.exitCode = main()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
