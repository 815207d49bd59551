/** Installs each form of a release into a root directory of its own, as an operator does into a host. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../project.ts'

/** Runs a command that must succeed, in English and without the caller's home. @returns its standard output @throws Error with what it said */
export function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const child = spawnSync(command, args, {
    cwd: ROOT,
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, HOME: join(ROOT, '.cache'), LC_ALL: 'C', ...env },
    input: '{"cniVersion":"1.0.0"}',
    encoding: 'utf8',
    maxBuffer: 1 << 26
  })
  if (child.status === 0) return child.stdout
  throw new Error(`${command} ${args.join(' ')}: ${child.error?.message ?? ''}${child.stdout}${child.stderr}`)
}

/** @returns the directory */
export function unpack(archive: string, directory: string): string {
  mkdirSync(directory, { recursive: true })
  run('tar', ['-xf', archive, '-C', directory])
  return directory
}

/** Where dpkg works: with a shell for maintainers' scripts, and no systemd. @returns the directory */
export function debianRoot(directory: string): string {
  for (const folder of ['var/lib/dpkg/info', 'var/lib/dpkg/updates'])
    mkdirSync(join(directory, folder), { recursive: true })
  for (const name of ['status', 'available']) copyFileSync('/dev/null', join(directory, 'var/lib/dpkg', name))
  return withShell(directory)
}

/** For the scripts of packages. @returns the directory */
export function withShell(directory: string): string {
  mkdirSync(join(directory, 'bin'), { recursive: true })
  for (const name of ['sh', 'rm']) copyFileSync('/bin/busybox', join(directory, 'bin', name))
  return directory
}

export function dpkg(root: string, ...args: readonly string[]): string {
  return run('dpkg', [`--root=${root}`, '--force-depends', '--no-triggers', '--log=/dev/null', ...args])
}

/** @param root is made */
export function rpm(root: string, ...args: readonly string[]): string {
  mkdirSync(root, { recursive: true })
  return run('rpm', ['--root', root, '--dbpath', '/var/lib/rpm', '--nosignature', ...args])
}

export function rpmInstall(root: string, file: string): void {
  rpm(root, '--install', '--nodeps', '--ignorearch', file)
}

/** Installs npm's packages without a network. @returns the command */
export function npmInstall(directory: string, files: readonly string[]): string {
  const prefix = join(directory, 'prefix')
  const quiet = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts', '--cache', join(directory, 'cache')]
  run('npm', ['install', '--global', '--prefix', prefix, ...quiet, ...files])
  return join(prefix, 'bin', 'patchbay')
}

/** Unpacks an image as a runtime does. @returns the root of its containers, and what is started in them */
function imageRoot(directory: string, file: string): { readonly root: string; readonly entrypoint: readonly string[] } {
  const layout = unpack(file, join(directory, 'layout'))
  const [{ Config: config, Layers: layers }] = JSON.parse(readFileSync(join(layout, 'manifest.json'), 'utf8'))
  const root = unpack(join(layout, layers[0]), join(directory, 'root'))
  const { config: image } = JSON.parse(readFileSync(join(layout, config), 'utf8'))
  return { root, entrypoint: image.Entrypoint }
}

/** Has an image's container install plugins into `/host`, with /proc as in every container. @returns that directory */
export function installByImage(directory: string, file: string): string {
  const { root, entrypoint } = imageRoot(directory, file)
  for (const folder of ['proc', 'dev']) mkdirSync(join(root, folder), { recursive: true })
  run('mount', ['-t', 'proc', 'proc', join(root, 'proc')])
  try {
    run('chroot', [root, ...entrypoint, 'install', '/host'])
  } finally {
    run('umount', [join(root, 'proc')])
  }
  return join(root, 'host')
}

/** Bytes of all files below, each counted once whatever names it has. */
export function sizeBelow(directory: string): number {
  const sizes = new Map<number, number>()
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { ino, size } = statSync(join(entry.parentPath, entry.name))
    sizes.set(ino, size)
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
