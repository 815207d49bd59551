/**
 * Asks the routing table about an address of the packet.
 *
 *     fib daddr type          2 = local: an address of this host
 *
 * @source linux/netfilter/nf_tables.h enum nft_fib_attributes, enum nft_fib_result, enum nft_fib_flags
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_FIB_DREG = 1
const NFTA_FIB_RESULT = 2
const NFTA_FIB_FLAGS = 3

export const NFT_FIB_RESULT_ADDRTYPE = 3
export const NFTA_FIB_F_SADDR = 1
export const NFTA_FIB_F_DADDR = 2

export interface FibExpression {
  readonly kind: 'fib'
  readonly register: number
  /** NFT_FIB_RESULT_* */
  readonly result: number
  /** NFTA_FIB_F_* */
  readonly flags: number
}

export function writeFib(writer: Writer, fib: FibExpression): void {
  writer.attrU32be(NFTA_FIB_FLAGS, fib.flags)
  writer.attrU32be(NFTA_FIB_RESULT, fib.result)
  writer.attrU32be(NFTA_FIB_DREG, fib.register)
}

export function readFib(bytes: Uint8Array): FibExpression {
  let register = 0
  let result = 0
  let flags = 0
  for (const attribute of attributes(bytes, 'NFTA_FIB')) {
    if (attribute.type === NFTA_FIB_DREG) register = readU32be(attribute, 'NFTA_FIB_DREG')
    if (attribute.type === NFTA_FIB_RESULT) result = readU32be(attribute, 'NFTA_FIB_RESULT')
    if (attribute.type === NFTA_FIB_FLAGS) flags = readU32be(attribute, 'NFTA_FIB_FLAGS')
  }
  return { kind: 'fib', register, result, flags }
}
