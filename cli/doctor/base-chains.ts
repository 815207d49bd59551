/**
 * Base chains of all families, and the policies of legacy iptables: what judges packets that no rule decides.
 *
 * @source linux/netfilter/nf_tables.h NFT_MSG_GETCHAIN; linux/netfilter.h NFPROTO_*
 */
import { spawnSync } from 'node:child_process'
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import { decodeChain, NF_DROP, NF_INET_FORWARD } from '../../lib/netlink/nf/chain.ts'
import { NFT_MSG_GETCHAIN } from '../../lib/netlink/nf/nf-tables.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../../lib/netlink/nf/nfnetlink.ts'
import { encodeTableName } from '../../lib/netlink/nf/table.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import { inNamespace } from '../../lib/sys/netns.ts'

export interface BaseChain {
  /** `ip`, `ip6`, `inet`, `bridge`; of legacy iptables `iptables-legacy`, `ip6tables-legacy`. */
  readonly family: string
  readonly table: string
  readonly name: string
  readonly isForward: boolean
  readonly drops: boolean
  /** All chains of its table. */
  readonly siblings: readonly string[]
}

const FAMILIES: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 5: 'netdev', 7: 'bridge', 10: 'ip6' }

/** None where the kernel has no nf_tables, or without root. */
export function readBaseChains(namespaceFd: number): readonly BaseChain[] {
  return [...nftChains(namespaceFd), ...legacyChains(namespaceFd)]
}

function nftChains(namespaceFd: number): readonly BaseChain[] {
  const conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  try {
    const type = nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN)
    const chains = conn.dump('list', 'chains', type, encodeTableName(0, '')).map(payload => decodeChain(payload))
    return chains
      .filter(chain => chain.hook !== undefined)
      .map(({ family, table, name, hook }) => ({
        family: FAMILIES[family] ?? String(family),
        table,
        name,
        isForward: hook?.number === NF_INET_FORWARD && hook.type === 'filter',
        // firewalld's policy is accept, and its last rule rejects.
        drops: hook?.policy === NF_DROP || table === 'firewalld',
        siblings: chains.filter(one => one.family === family && one.table === table).map(one => one.name)
      }))
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return []
  } finally {
    conn.close()
  }
}

/** Only where its tables are there: asking would make them. */
function legacyChains(namespaceFd: number): readonly BaseChain[] {
  return [
    ['iptables-legacy', '/proc/net/ip_tables_names'],
    ['ip6tables-legacy', '/proc/net/ip6_tables_names']
  ].flatMap(([program = '', names = '']) => {
    const seen = inNamespace(namespaceFd, () => spawnSync('cat', [names], { encoding: 'utf8' }))
    if (!(seen.stdout ?? '').split('\n').includes('filter')) return []
    const rules = inNamespace(namespaceFd, () => spawnSync(program, ['-w', '-S'], { encoding: 'utf8' }))
    const lines = (rules.stdout ?? '').split('\n').map(line => line.split(' '))
    const siblings = lines.filter(([flag]) => flag === '-N' || flag === '-P').map(words => words[1] ?? '')
    return lines
      .filter(([flag, chain]) => flag === '-P' && chain === 'FORWARD')
      .map(([, name = '', policy]) => ({
        family: program,
        table: 'filter',
        name,
        isForward: true,
        drops: policy === 'DROP',
        siblings
      }))
  })
}
