/**
 * A number that follows from bytes in registers.
 *
 *     jhash ip saddr mod 251 seed 0x1
 *
 * @source linux/netfilter/nf_tables.h enum nft_hash_attributes, enum nft_hash_types
 */
import type { Rows } from '../../rows.ts'

const NFT_HASH_JENKINS = 0

export interface HashExpression {
  readonly kind: 'hash'
  /** Where the bytes begin, and how many they are. */
  readonly sourceRegister: number
  readonly length: number
  /** Four bytes, in the host's order. */
  readonly register: number
  /** Numbers are below it. */
  readonly modulus: number
  readonly seed: number
}

export function hashRows(rows: Rows, hash: HashExpression | undefined): HashExpression {
  const sourceRegister = rows.u32be(1, 'NFTA_HASH_SREG', hash?.sourceRegister) ?? 0
  const register = rows.u32be(2, 'NFTA_HASH_DREG', hash?.register) ?? 0
  const length = rows.u32be(3, 'NFTA_HASH_LEN', hash?.length) ?? 0
  const modulus = rows.u32be(4, 'NFTA_HASH_MODULUS', hash?.modulus) ?? 0
  const seed = rows.u32be(5, 'NFTA_HASH_SEED', hash?.seed) ?? 0
  rows.u32be(6, 'NFTA_HASH_OFFSET', undefined)
  rows.u32be(7, 'NFTA_HASH_TYPE', hash === undefined ? undefined : NFT_HASH_JENKINS)
  return { kind: 'hash', sourceRegister, length, register, modulus, seed }
}
