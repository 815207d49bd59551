/**
 * Plugins on a host that has neither `iptables` nor `nft` nor `ip`: not in PATH, and not in the usual places either, which
 * are covered in a mount namespace of the call's own.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CallOptions, World } from './world.ts'

const COVER = [
  'for d in /usr/sbin /sbin /usr/local/sbin; do [ ! -d $d ] || mount -t tmpfs none $d; done',
  'for f in /usr/bin /bin /usr/local/bin; do for t in ip nft iptables ip6tables; do',
  '[ ! -e $f/$t ] || mount --bind /dev/null $f/$t; done; done'
].join('\n')

/** Options that make `world.call` start these plugins on such a host. IPAM plugins are found where they are. */
export function withoutTools(world: World, plugins: readonly string[]): CallOptions {
  const binDir = join(world.directory, 'without-tools')
  mkdirSync(binDir, { recursive: true })
  for (const plugin of plugins) {
    const script = `set -e\n${COVER}\nPATH=/nonexistent exec ${join(world.binDir, plugin)}`
    const line = `exec /usr/bin/unshare --mount --propagation private /bin/sh -c '${script}'`
    writeFileSync(join(binDir, plugin), `#!/bin/sh\nPATH=/usr/bin:/bin\n${line}\n`, { mode: 0o755 })
  }
  return { binDir, path: world.binDir }
}
