/** A subnet that is also somewhere else: a VPN, the LAN, another container network. */
import { formatPrefix, type IpPrefix, networkOf, parsePrefix, prefixesOverlap } from '../../../lib/ip/prefix.ts'
import type { NetworkView, RouteView } from '../../../lib/view/model.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const subnetOverlap: Check = {
  name: 'subnet-overlap',
  title: 'no subnet of a container network is in use elsewhere',
  find: facts => {
    const networks = facts.view.networks.flatMap(network => subnetsOf(network).map(prefix => ({ network, prefix })))
    return networks.flatMap((one, i) => [
      ...networks
        .slice(i + 1)
        .filter(other => other.network.name !== one.network.name && prefixesOverlap(one.prefix, other.prefix))
        .map(other => between(one, other)),
      ...facts.hostView.routes.filter(route => isElsewhere(route, one, facts)).map(route => withRoute(one, route))
    ])
  }
}

interface Subnet {
  readonly network: NetworkView
  readonly prefix: IpPrefix
}

function subnetsOf(network: NetworkView): readonly IpPrefix[] {
  return network.subnets.flatMap(({ subnet }) => {
    const prefix = parsePrefix(subnet)
    return prefix === undefined ? [] : [networkOf(prefix)]
  })
}

function between(one: Subnet, other: Subnet): Finding {
  const what = `networks ${one.network.name} and ${other.network.name} have addresses in common`
  return {
    severity: 'error',
    what,
    evidence: [one, other].map(({ network, prefix }) => `${formatPrefix(prefix)} in ${network.path}`),
    remedy: 'give one of them another subnet; its containers have to be attached again'
  }
}

/** Not over the network's own bridge or wires, which lie within its subnet by nature. */
function isElsewhere(route: RouteView, { network, prefix }: Subnet, facts: Facts): boolean {
  const dst = route.dst === 'default' ? undefined : parsePrefix(route.dst)
  if (dst === undefined || route.link === '' || !prefixesOverlap(dst, prefix)) return false
  const link = facts.hostView.links.find(one => one.name === route.link)
  if (link?.owner?.network === network.name) return false
  const own = facts.segments.segments.find(one => one.namespace.isHost && one.link?.name === route.link)
  if (own?.networks.includes(network.name) === true) return false
  // A bridge whose containers are all gone, or have no records, is told by its address: the network's gateway.
  return link?.kind !== 'bridge' || !link.addresses.some(text => hasNetwork(text, prefix))
}

function hasNetwork(text: string, prefix: IpPrefix): boolean {
  const address = parsePrefix(text)
  return address !== undefined && formatPrefix(networkOf(address)) === formatPrefix(prefix)
}

function withRoute({ network, prefix }: Subnet, route: RouteView): Finding {
  return {
    severity: 'error',
    what: `the subnet of network ${network.name} is also behind ${route.link}`,
    evidence: [
      `subnet ${formatPrefix(prefix)} in ${network.path}`,
      `route ${route.dst}${route.gateway === '' ? '' : ` via ${route.gateway}`} dev ${route.link}`
    ],
    remedy: `give the network another subnet, or take the route away: whichever is more exact wins, and the other is not reached`
  }
}
