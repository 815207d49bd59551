/** Elements of the packet filter whose attachment no record knows: the journal was lost, or a DEL was never called. */
import { ownerText } from '../../../lib/attachment.ts'
import type { Facts } from '../facts.ts'
import type { Check } from '../finding.ts'
import { ownedElements } from '../owned-elements.ts'

export const staleRules: Check = {
  name: 'stale-rules',
  title: 'rules are of containers that are known',
  find: facts => {
    const known = new Set(
      facts.view.networks.flatMap(({ name: network, attachments }) =>
        attachments.map(({ containerId, ifName }) => ownerText({ network, containerId, ifName }))
      )
    )
    const stale = elementsOf(facts).filter(one => !known.has(one.owner))
    if (stale.length === 0) return []
    const networks = [...new Set(stale.map(one => one.owner.split(' ')[0] ?? ''))]
    return [
      {
        severity: 'warning',
        what: 'the packet filter has rules of containers that no record knows',
        evidence: stale.map(({ table, set, owner }) => `${owner}: an element of ${set} in table ${table}`),
        remedy: networks.map(name => `patchbay gc ${name}`).join('; ')
      }
    ]
  }
}

function elementsOf(facts: Facts): ReturnType<typeof ownedElements> {
  const nft = facts.nft()
  try {
    return ownedElements(facts.host.namespaceFd(), nft, facts.chains)
  } finally {
    nft.close()
  }
}
