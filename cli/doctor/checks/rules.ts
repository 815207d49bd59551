/** Rules that ADD made and another tool has flushed: `nft flush ruleset`, a reload of /etc/nftables.conf. */
import { memberOf } from '../../../lib/config/json.ts'
import { type JournalEntry, journalEntries } from '../../../lib/state/journal.ts'
import { TABLE as PORTMAP_TABLE } from '../../../plugins/portmap/table.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const rules: Check = {
  name: 'rules',
  title: 'rules for published ports are still there',
  find: facts => facts.view.networks.flatMap(network => findingFor(network.name, facts))
}

function findingFor(network: string, facts: Facts): readonly Finding[] {
  const published = journalEntries(facts.places.stateDir, network).filter(isPublished)
  const families = new Set(facts.chains.filter(chain => chain.table === PORTMAP_TABLE).map(chain => chain.family))
  if (published.length === 0 || families.size > 0) return []
  return [
    {
      severity: 'error',
      what: `ports of network ${network} are published, but the rules that lead there are gone`,
      evidence: [
        ...published.map(({ attachment }) => `ports of ${attachment.containerId} (${attachment.ifName})`),
        `no table ${PORTMAP_TABLE}`
      ],
      remedy:
        'start the agent, which makes them again, or attach any container with a port; and flush only tables of your own'
    }
  ]
}

function isPublished({ plugin, entry }: JournalEntry): boolean {
  const backend = memberOf(entry, 'backend')?.text ?? ''
  return plugin === 'portmap' && backend === 'nftables' && (memberOf(entry, 'mappings')?.items.length ?? 0) > 0
}
