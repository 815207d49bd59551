/** What the header of an executable promises about the process it becomes. @source man 5 elf; elf.h */

/** A stretch of the file and its place in memory. */
interface Segment {
  readonly type: number
  /** PF_X 1, PF_W 2, PF_R 4 */
  readonly flags: number
  readonly offset: number
  readonly size: number
}

export const PT_LOAD = 1
const PT_DYNAMIC = 2
export const PT_INTERP = 3
export const PT_GNU_STACK = 0x6474e551
export const PT_GNU_RELRO = 0x6474e552
export const PF_X = 1
export const PF_W = 2

const DT_FLAGS = 30
const DT_FLAGS_1 = 0x6ffffffb
const DF_BIND_NOW = 8
const DF_1_NOW = 1

export interface Elf {
  /** ET_EXEC 2: at a fixed address; ET_DYN 3: anywhere. */
  readonly type: number
  readonly segments: readonly Segment[]
  /** Whether every address from outside is filled in before the program starts, so that the table of them can be closed. */
  readonly bindsNow: boolean
}

/** Reads a 64-bit little-endian file. @throws Error when it is none */
export function readElf(file: Buffer): Elf {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error('read ELF: not a 64-bit one')
  const start = Number(file.readBigUInt64LE(32))
  const [each, count] = [file.readUInt16LE(54), file.readUInt16LE(56)]
  const segments = Array.from({ length: count }, (_, i): Segment => {
    const at = start + i * each
    const [offset, size] = [Number(file.readBigUInt64LE(at + 8)), Number(file.readBigUInt64LE(at + 32))]
    return { type: file.readUInt32LE(at), flags: file.readUInt32LE(at + 4), offset, size }
  })
  const dynamic = segments.find(one => one.type === PT_DYNAMIC)
  return { type: file.readUInt16LE(16), segments, bindsNow: dynamic !== undefined && hasNow(file, dynamic) }
}

function hasNow(file: Buffer, { offset, size }: Segment): boolean {
  for (let at = offset; at + 16 <= offset + size; at += 16) {
    const tag = Number(file.readBigUInt64LE(at))
    const value = Number(file.readBigUInt64LE(at + 8))
    if (tag === DT_FLAGS && (value & DF_BIND_NOW) !== 0) return true
    if (tag === DT_FLAGS_1 && (value & DF_1_NOW) !== 0) return true
  }
  return false
}
