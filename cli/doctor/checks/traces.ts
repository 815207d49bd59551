/** Tables that a trace has left: it was killed on a kernel that does not take them away by itself. */
import type { NamespaceView } from '../../../lib/view/model.ts'
import { leftovers, removeLeftovers } from '../../trace/mark.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const traces: Check = {
  name: 'traces',
  title: 'no trace that was killed has left its rules',
  find: facts => facts.view.namespaces.flatMap(namespace => findingFor(namespace, facts))
}

function findingFor(namespace: NamespaceView, facts: Facts): readonly Finding[] {
  const found = within(namespace, facts, leftovers) ?? []
  if (found.length === 0) return []
  const name = namespace.isHost ? 'the host' : namespace.name
  const tables = [...new Set(found.map(one => one.name))]
  return [
    {
      severity: 'note',
      what: `${name} has rules of a trace that was killed`,
      evidence: tables.map(table => `table ${table}`),
      remedy: 'the next patchbay trace removes them',
      fix: {
        words: `nft delete table ${tables.join(', ')} (${name})`,
        apply: () => {
          within(namespace, facts, removeLeftovers)
        }
      }
    }
  ]
}

function within<T>(namespace: NamespaceView, facts: Facts, work: (namespaceFd: number) => T): T | undefined {
  if (namespace.isHost) return work(facts.host.namespaceFd())
  return facts.inside(namespace, net => work(net.namespaceFd()))
}
