/** A firewall that drops what it does not know drops what containers send. */
import type { Check } from '../finding.ts'
import { makerOf } from '../makers.ts'

export const forwardPolicy: Check = {
  name: 'forward-policy',
  title: 'no firewall drops forwarded packets unseen',
  find: ({ chains, routed }) => {
    const dropping = chains.filter(chain => chain.isForward && chain.drops)
    if (routed.length === 0) return []
    return dropping.map(chain => {
      const { who, remedy } = makerOf(chain)
      return {
        severity: 'warning',
        what: `chain ${chain.name} of table ${chain.family} ${chain.table} drops what is forwarded and no rule of it accepts${who === '' ? '' : `; ${who} set it`}`,
        evidence: [
          `policy drop at hook forward: nft list chain ${chain.family} ${chain.table} ${chain.name}`,
          `${String(routed.length)} containers are on this host's bridges and wires`
        ],
        remedy
      }
    })
  }
}
