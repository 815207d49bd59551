/**
 * Filters of packet sockets, in the instructions that the kernel runs on every packet.
 *
 * @source linux/filter.h struct sock_filter; linux/bpf_common.h
 */

/** Instructions: code, jump if true, jump if false, operand. */
export type Filter = readonly (readonly [number, number, number, number])[]

export const LOAD_WORD = 0x20
export const LOAD_HALF = 0x28
export const LOAD_BYTE = 0x30
/** The index register becomes four times the low half of a byte: the length of an IPv4 header. */
export const LOAD_HEADER_LENGTH = 0xb1
export const LOAD_WORD_BEHIND_HEADER = 0x40
export const LOAD_HALF_BEHIND_HEADER = 0x48
export const TO_INDEX = 0x07
export const AND = 0x54
export const JUMP_IF_EQUAL = 0x15
export const JUMP_IF_EQUALS_INDEX = 0x1d
export const JUMP_IF_ANY = 0x45
export const RETURN = 0x06

/** Eight bytes for each instruction. */
export function programOf(lines: Filter): Uint8Array {
  const program = new Uint8Array(lines.length * 8)
  const view = new DataView(program.buffer)
  lines.forEach(([code, ifTrue, ifFalse, operand], line) => {
    view.setUint16(line * 8, code, true)
    view.setUint8(line * 8 + 2, ifTrue)
    view.setUint8(line * 8 + 3, ifFalse)
    view.setUint32(line * 8 + 4, operand, true)
  })
  return program
}
