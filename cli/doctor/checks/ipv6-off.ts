/** Containers that were given an IPv6 address and cannot have one. */
import type { Check, Finding } from '../finding.ts'

export const ipv6Off: Check = {
  name: 'ipv6-off',
  title: 'containers have the addresses that they were given',
  find: ({ view }) =>
    view.networks.flatMap(network =>
      network.attachments.flatMap((one): readonly Finding[] => {
        const namespace = view.namespaces.find(candidate => candidate.id === one.namespace)
        const link = namespace?.links.find(candidate => candidate.name === one.ifName)
        if (namespace === undefined || link === undefined) return []
        const held = link.addresses.map(address => address.split('/')[0])
        const lost = one.addresses.filter(address => !held.includes(address.split('/')[0]))
        if (lost.length === 0) return []
        const isOff = lost.some(address => address.includes(':'))
        return [
          {
            severity: 'error',
            what: `${namespace.name} does not have ${lost.join(', ')}, which network ${network.name} gave it`,
            evidence: [`${one.ifName} has ${link.addresses.join(' ') || 'no address'}`],
            remedy: isOff
              ? 'look at net.ipv6.conf.*.disable_ipv6 in the container; then attach it again'
              : 'attach it again, and find out who took the address away'
          }
        ]
      })
    )
}
