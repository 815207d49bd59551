/**
 * A test file whose plugins may write to their default places: it runs itself again where /run and /var/lib are empty and
 * its own.
 */
import { spawnSync } from 'node:child_process'

const MARK = 'PATCHBAY_PRIVATE_MOUNTS'
const SETUP = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec "$0" "$@"'

/**
 * Call it first, with the file's own `import.meta.filename`. Returns only in the private copy.
 *
 * @param own arguments of the copy
 */
export function withPrivateMounts(file: string, own: readonly string[] = []): void {
  if (process.env[MARK] === '1') return
  const args = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    SETUP,
    process.execPath,
    '--no-warnings',
    file,
    ...own
  ]
  const child = spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } })
  process.exit(child.status ?? 1)
}
