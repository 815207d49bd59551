/**
 * `npm run test:arm64`: the plugins as they are released for arm64, started by an emulator of that processor and judged by the tests of
 * the protocol. Needs what `npm run release` needs, and qemu-user.
 *
 *     npm run test:arm64 -- [FILE...]
 *
 * Each name is a script that starts the emulator: that the kernel starts foreign executables by itself would be set for the whole
 * machine.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withOwnDirectories } from '../lib/testing/private-mounts.ts'
import { inputsDigest } from './executables.ts'
import { compileNative, compileToLlvm, inWorkshop } from './native-engine.ts'
import { CLANG_ADVICE, type Clang, findClang, staticObstacle } from './native-toolchain.ts'
import { NODE_BIN, pluginFolders, ROOT } from './project.ts'
import { toolsFor } from './release/executables.ts'
import { countsOf, runProblems } from './test-file.ts'

const DIRECTORY = join(ROOT, 'dist', 'arm64')
const PROGRAM = join(DIRECTORY, 'patchbay-cni')
const STAMP = join(DIRECTORY, 'inputs.sha256')
const BIN = join(DIRECTORY, 'bin')
/**
 * What is the same for all plugins, the bridge and the address plugins at work. Not those of portmap, firewall, masquerade and the
 * spoof check: the emulator refuses netfilter's netlink socket (EPROTONOSUPPORT). Nor macvlan's: of a link's attributes in an answer it
 * translates those that it knows.
 */
const FILES = [
  'lib/cni/protocol.blackbox.test.ts',
  'lib/cni/reference.blackbox.test.ts',
  'lib/sys/directories.blackbox.test.ts',
  'ipam/host-local/host-local.blackbox.test.ts',
  'ipam/static/reservations.blackbox.test.ts'
]
const EMULATORS = ['qemu-aarch64', 'qemu-aarch64-static']

/** @throws Error saying what to install */
function needed(): { readonly clang: Clang; readonly emulator: string } {
  const clang = findClang()
  if (clang === undefined) throw new Error(CLANG_ADVICE)
  const obstacle = staticObstacle(clang)
  if (obstacle !== undefined) throw new Error(obstacle)
  const folders = (process.env['PATH'] ?? '').split(':')
  const [emulator] = EMULATORS.flatMap(name => folders.map(folder => join(folder, name))).filter(existsSync)
  if (emulator === undefined) throw new Error('apt-get install qemu-user')
  return { clang, emulator }
}

function build(clang: Clang): void {
  const digest = inputsDigest('native', `arm64 ${process.version} ${clang.version}`)
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return
  process.stderr.write('building the native engine for arm64 (2 minutes) ...\n')
  rmSync(DIRECTORY, { recursive: true, force: true })
  mkdirSync(DIRECTORY, { recursive: true })
  inWorkshop(workshop => compileNative(toolsFor(clang, 'arm64'), compileToLlvm(join(workshop, 'main.ll')), PROGRAM))
  chmodSync(PROGRAM, 0o755)
  writeFileSync(STAMP, digest)
}

/** A directory of plugins. The emulator hands the name on that it was started under. */
function makePlugins(emulator: string): void {
  rmSync(BIN, { recursive: true, force: true })
  mkdirSync(BIN)
  const script = join(DIRECTORY, 'emulated')
  writeFileSync(script, `#!/bin/sh\nexec ${emulator} -0 "$0" ${PROGRAM} "$@"\n`)
  chmodSync(script, 0o755)
  for (const { name } of pluginFolders()) linkSync(script, join(BIN, name))
}

/** @returns whether all of the file's tests have passed that an emulator can run */
function runFile(file: string): boolean {
  const [program = '', ...args] = withOwnDirectories(['/run'], [NODE_BIN, '--no-warnings', join(ROOT, file)])
  const engine = { PATCHBAY_ENGINE: 'native', PATCHBAY_BIN_DIR: BIN, PATCHBAY_EMULATED: '1' }
  const child = spawnSync(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...engine, NO_COLOR: '1', FORCE_COLOR: '0' },
    encoding: 'utf8',
    maxBuffer: 1 << 26
  })
  const output = child.stdout + child.stderr
  const skips = /^a test was skipped: an emulator /
  const problems = runProblems(`exit ${child.status}`, output, true).filter(one => !skips.test(one))
  for (const [line] of output.matchAll(/^skipped: .*$/gm)) process.stdout.write(`${line}\n`)
  process.stdout.write(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${file}: ${countsOf(output)?.passed ?? 0} passed\n`)
  if (problems.length > 0) process.stdout.write(`${problems.join('\n')}\n${output}\n`)
  return problems.length === 0
}

try {
  const { clang, emulator } = needed()
  build(clang)
  makePlugins(emulator)
  const chosen = process.argv.slice(2)
  const failed = (chosen.length > 0 ? chosen : FILES).filter(file => !runFile(file))
  process.exitCode = failed.length === 0 ? 0 : 1
} catch (error) {
  process.stderr.write(`arm64: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
