/**
 * Numbers of nf_tables: its messages and its registers.
 *
 * @source linux/netfilter/nf_tables.h enum nf_tables_msg_types, enum nft_registers
 */
export const NFT_MSG_NEWTABLE = 0
export const NFT_MSG_GETTABLE = 1
export const NFT_MSG_DELTABLE = 2
export const NFT_MSG_NEWCHAIN = 3
export const NFT_MSG_GETCHAIN = 4
export const NFT_MSG_DELCHAIN = 5
export const NFT_MSG_NEWRULE = 6
export const NFT_MSG_GETRULE = 7
export const NFT_MSG_DELRULE = 8
export const NFT_MSG_NEWSET = 9
export const NFT_MSG_GETSET = 10
export const NFT_MSG_NEWSETELEM = 12
export const NFT_MSG_GETSETELEM = 13
export const NFT_MSG_DELSETELEM = 14
export const NFT_MSG_GETGEN = 16

/** The size of a name of a table, chain or set, with its NUL. */
export const NFT_NAME_MAXLEN = 256

/** enum nft_registers: four of 16 bytes, which are also sixteen of 4 bytes; 0 takes a verdict. */
export const NFT_REG_VERDICT = 0
export const NFT_REG_1 = 1
const NFT_REG32_00 = 8

/**
 * The register for the bytes that begin at the n-th 4-byte slot, named as nft names it: by its 16-byte register where
 * one begins there.
 */
export function registerAt(slot: number): number {
  return slot % 4 === 0 ? NFT_REG_1 + slot / 4 : NFT_REG32_00 + slot
}
