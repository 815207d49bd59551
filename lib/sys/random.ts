/** Numbers that nobody can guess. */
import * as libc from '#libc'
import { SysError } from './errors.ts'

/**
 * 32 random bits. Not node:crypto's, which takes Node 5 ms to load.
 *
 * @source man 2 getrandom
 */
export function randomU32(): number {
  const bytes = new Uint8Array(4)
  if (libc.getrandom(bytes) !== 4) throw new SysError('getrandom', '', libc.errnoName(), '')
  return new DataView(bytes.buffer).getUint32(0, true)
}
