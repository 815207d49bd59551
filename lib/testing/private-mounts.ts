/**
 * A test file whose plugins may write to their default places: it runs itself again where /run and /var/lib are empty and
 * its own.
 */
import { spawnSync } from 'node:child_process'

const MARK = 'PATCHBAY_PRIVATE_MOUNTS'

/**
 * The command that runs another one where these directories are empty and its own.
 *
 * @param command a program and its arguments
 */
export function withOwnDirectories(directories: readonly string[], command: readonly string[]): readonly string[] {
  const mounts = directories.map(directory => `mount -t tmpfs -o mode=755 tmpfs ${directory}`).join(' && ')
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${mounts} && exec "$0" "$@"`, ...command]
}

/**
 * Call it first, with the file's own `import.meta.filename`. Returns only in the private copy.
 *
 * @param own arguments of the copy
 */
export function withPrivateMounts(file: string, own: readonly string[] = []): void {
  if (process.env[MARK] === '1') return
  const command = [process.execPath, '--no-warnings', file, ...own]
  const [program = '', ...args] = withOwnDirectories(['/run', '/var/lib'], command)
  const child = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } })
  process.exit(child.status ?? 1)
}
