/**
 * Elements of the tables that plugins here make, with the attachment that each names in its comment.
 *
 * @source linux/netfilter/nf_tables.h NFT_MSG_GETSET; lib/attachment.ts ownerText
 */
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import type { Conn } from '../../lib/netlink/conn.ts'
import { NFT_MSG_GETSET } from '../../lib/netlink/nf/nf-tables.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../../lib/netlink/nf/nfnetlink.ts'
import { decodeSet } from '../../lib/netlink/nf/set.ts'
import { encodeTableName } from '../../lib/netlink/nf/table.ts'
import type { Nft, NftFamily } from '../../lib/nft/nft.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import type { BaseChain } from './base-chains.ts'

export interface OwnedElement {
  readonly table: string
  readonly set: string
  /** `<network> <containerID> <ifname>` */
  readonly owner: string
}

const FAMILIES: Readonly<Record<string, number>> = { ip: 2, bridge: 7, ip6: 10 }

/** @param chains base chains, which each of our tables has */
export function ownedElements(namespaceFd: number, nft: Nft, chains: readonly BaseChain[]): readonly OwnedElement[] {
  const ours = chains.filter(({ family, table }) => table.startsWith('patchbay-') && Object.hasOwn(FAMILIES, family))
  const tables = new Map(
    ours.map(({ family, table }) => [`${family} ${table}`, { family: family as NftFamily, table }])
  )
  const conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  try {
    return [...tables.values()].flatMap(({ family, table }) =>
      setsOf(conn, family, table).flatMap(set =>
        nft
          .listElements(family, table, set)
          .filter(isOwned)
          .map(({ comment }) => ({ table, set, owner: comment }))
      )
    )
  } finally {
    conn.close()
  }
}

function setsOf(conn: Conn, family: NftFamily, table: string): readonly string[] {
  const type = nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSET)
  const sets = conn.dump('list', `sets of ${family} ${table}`, type, encodeTableName(FAMILIES[family] ?? 0, table))
  return sets.map(payload => decodeSet(payload).name)
}

/** Other comments say something else, such as which set of conditions it is. */
function isOwned({ comment }: { readonly comment: string }): boolean {
  return comment.split(' ').length === 3
}
