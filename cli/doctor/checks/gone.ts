/** What is left of containers that went without DEL: records, and with them addresses, ports, rules, interfaces. */
import { loadNetwork, NetworkError } from '../../../lib/runtime/network.ts'
import { Runtime } from '../../../lib/runtime/runtime.ts'
import type { NetworkView } from '../../../lib/view/model.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const gone: Check = {
  name: 'gone',
  title: 'nothing is left of containers that are gone',
  find: facts => facts.view.networks.flatMap(network => [...records(network, facts), ...leases(network, facts)])
}

function records(network: NetworkView, facts: Facts): readonly Finding[] {
  const left = network.attachments.filter(one => one.namespace === '')
  if (left.length === 0) return []
  return [
    {
      severity: 'warning',
      what: `network ${network.name} remembers containers that are not there`,
      evidence: left.map(one => `${one.containerId} (${one.ifName}) ${one.addresses.join(' ')}`.trim()),
      remedy: `patchbay gc ${network.name}`,
      ...(network.path === '' ? {} : { fix: collect(network, facts) })
    }
  ]
}

/** GC with all that live, as `patchbay gc` does it. */
function collect(network: NetworkView, { places }: Facts): NonNullable<Finding['fix']> {
  return {
    words: `patchbay gc ${network.name}`,
    apply: async () => {
      const { binDirs, cacheDir, confDir } = places
      const runtime = new Runtime({ pluginDirectories: binDirs, cacheDirectory: cacheDir, onStderr: () => undefined })
      const living = network.attachments.filter(one => one.namespace !== '')
      try {
        await runtime.gc(loadNetwork(confDir, network.name), living)
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error
      }
    }
  }
}

/** Of owners that no record knows and whose address no interface has. */
function leases(network: NetworkView, facts: Facts): readonly Finding[] {
  const known = new Set(network.attachments.map(one => one.containerId))
  const used = new Set(
    facts.view.namespaces.flatMap(one => one.links.flatMap(link => link.addresses.map(text => text.split('/')[0])))
  )
  const isHidden = facts.view.namespaces.some(one => one.problem !== '')
  const left = network.leases.filter(lease => !known.has(lease.containerId) && !used.has(lease.address))
  if (left.length === 0 || isHidden) return []
  return [
    {
      severity: 'warning',
      what: `network ${network.name} has leased addresses that nobody uses`,
      evidence: left.map(
        lease => `${lease.address} to ${lease.containerId}${lease.ifName === '' ? '' : ` (${lease.ifName})`}`
      ),
      remedy: `patchbay gc ${network.name}, when no runtime of its own keeps them for containers that are stopped`
    }
  ]
}
