/** Numbers that nobody can guess. */
import * as libc from '#libc'
import { SysError } from './errors.ts'

/** As much as one call of a plugin takes: the kernel is asked once. */
const pool = new Uint8Array(64)
let taken = pool.length

/**
 * Random bytes, at most 64. Not node:crypto's, which takes Node 5 ms to load.
 *
 * @source man 2 getrandom
 */
export function randomBytes(count: number): Uint8Array {
  if (taken + count > pool.length) {
    if (libc.getrandom(pool) !== pool.length) throw new SysError('getrandom', '', libc.errnoName(), '')
    taken = 0
  }
  const bytes = pool.slice(taken, taken + count)
  taken += count
  return bytes
}

/** 32 random bits. */
export function randomU32(): number {
  return new DataView(randomBytes(4).buffer).getUint32(0, true)
}
