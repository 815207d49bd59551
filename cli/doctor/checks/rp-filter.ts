/**
 * Strict reverse path filtering drops packets that come by another interface than answers would go by.
 *
 * @source Documentation/networking/ip-sysctl.rst rp_filter: the larger of conf/all and conf/INTERFACE counts
 */

import type { NamespaceView } from '../../../lib/view/model.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const rpFilter: Check = {
  name: 'rp-filter',
  title: 'containers with several interfaces are not filtered by their return path',
  find: facts => facts.view.namespaces.filter(isMultihomed).flatMap(one => findingIn(one, facts))
}

function isMultihomed(one: NamespaceView): boolean {
  const facing = one.links.filter(link => link.name !== 'lo' && link.addresses.some(address => !address.includes(':')))
  return !one.isHost && facing.length > 1
}

function findingIn(namespace: NamespaceView, facts: Facts): readonly Finding[] {
  if (!facts.routed.some(({ member }) => member.namespace.id === namespace.id)) return []
  const strict = facts.inside(namespace, ({ sysctls }) => {
    const at = (name: string): number => Number(sysctls.read(`ipv4/conf/${name}/rp_filter`) ?? '0')
    return namespace.links
      .filter(link => link.name !== 'lo' && !/[/\0]/.test(link.name))
      .filter(link => Math.max(at('all'), at(link.name)) === 1)
      .map(link => link.name)
  })
  if (strict === undefined || strict.length === 0) return []
  return [
    {
      severity: 'warning',
      what: `${namespace.name} has several interfaces, and drops what comes in by another than its default route`,
      evidence: strict.map(name => `rp_filter = 1 on ${name}`),
      remedy:
        'add the plugin sbr to its further networks, or tuning with "sysctl": {"net.ipv4.conf.IFNAME.rp_filter": "2"}'
    }
  ]
}
