/** Archives that are the same bit for bit whenever they are made of the same files. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { constants, gzipSync } from 'node:zlib'

/**
 * Packs everything in a directory.
 *
 * @param seconds the time of every member, since 1970
 * @param prefix the directory that everything is in; '' for none
 */
export function pack(directory: string, archive: string, seconds: number, prefix: string): void {
  const fixed = ['--sort=name', `--mtime=@${seconds}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  // Group and others get what umask happened to leave otherwise. Hard links are kept: plugins are names of one file.
  const modes = ['--mode=u+rwX,go+rX,go-w']
  const transform = prefix === '' ? [] : [`--transform=flags=rhS;s,^\\.,${prefix},`]
  const child = spawnSync('tar', [...fixed, ...modes, ...transform, '-C', directory, '-cf', '-', '.'], {
    maxBuffer: 1 << 30,
    env: { ...process.env, LC_ALL: 'C' }
  })
  if (child.status !== 0) throw new Error(`pack ${directory}: ${child.error?.message ?? child.stderr.toString()}`)
  writeFileSync(archive, gzipSync(child.stdout, { level: constants.Z_BEST_COMPRESSION }))
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
