/** A firewall that drops what it does not know drops what containers send, unless a rule of it accepts them. */
import type { BaseChain } from '../base-chains.ts'
import { type Facts, plainAddresses } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'
import { ForwardRules } from '../forward-rules.ts'
import { makerOf } from '../makers.ts'

export const forwardPolicy: Check = {
  name: 'forward-policy',
  title: 'no firewall drops forwarded packets unseen',
  find: facts => facts.chains.filter(chain => chain.isForward && chain.drops).flatMap(chain => findingFor(chain, facts))
}

function findingFor(chain: BaseChain, facts: Facts): readonly Finding[] {
  const rules = new ForwardRules(facts.host.namespaceFd(), chain)
  const dropped = facts.routed.filter(({ segment, member }) => {
    const links = [segment.link?.name ?? '', member.via?.name ?? ''].filter(name => name !== '')
    return !rules.accepts({ links, addresses: plainAddresses(member.link) })
  })
  if (dropped.length === 0) return []
  const { who, remedy } = makerOf(chain)
  const names = [...new Set(dropped.map(({ segment, member }) => segment.link?.name ?? member.via?.name ?? ''))]
  return [
    {
      severity: 'warning',
      what: `chain ${chain.name} of table ${chain.family} ${chain.table} drops what is forwarded and no rule of it accepts${who === '' ? '' : `; ${who} set it`}`,
      evidence: [
        `policy drop at hook forward: nft list chain ${chain.family} ${chain.table} ${chain.name}`,
        `${String(dropped.length)} containers are on ${names.slice(0, 8).join(', ')}, which no rule accepts`
      ],
      remedy: remedy.replace('BRIDGE', names[0] ?? 'BRIDGE')
    }
  ]
}
