/** Archives that are the same bit for bit whenever they are made of the same files. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

export interface Packing {
  /** The time of every member, since 1970. */
  readonly seconds: number
  /** What is packed, in this order; everything when it is absent. */
  readonly members?: readonly string[]
  /** The directory that everything is in; none when it is absent. */
  readonly prefix?: string
}

/** Packs a directory by gzip. @param level of gzip */
export function pack(directory: string, archive: string, packing: Packing, level: number): void {
  packPlain(directory, archive, packing)
  writeFileSync(archive, gzipSync(readFileSync(archive), { level }))
}

/** The same without gzip. */
export function packPlain(directory: string, archive: string, packing: Packing): void {
  const { seconds, members = ['.'], prefix = '' } = packing
  const fixed = ['--sort=name', `--mtime=@${seconds}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  // Group and others get what umask happened to leave otherwise. Hard links are kept: plugins are names of one file.
  const modes = ['--mode=u+rwX,go+rX,go-w']
  const transform = prefix === '' ? [] : [`--transform=flags=rhS;s,^\\.,${prefix},`]
  const output = openSync(archive, 'w')
  try {
    const child = spawnSync('tar', [...fixed, ...modes, ...transform, '-C', directory, '-cf', '-', ...members], {
      stdio: ['ignore', output, 'pipe'],
      env: { ...process.env, LC_ALL: 'C' }
    })
    if (child.status !== 0) throw new Error(`pack ${directory}: ${child.error?.message ?? child.stderr.toString()}`)
  } finally {
    closeSync(output)
  }
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
