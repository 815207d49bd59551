/** A packet is as large as the smallest link on its way allows. */
import type { LinkView } from '../../../lib/view/model.ts'
import type { Segment } from '../../../lib/view/segments.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

/** VXLAN around a frame: outer IP, UDP, VXLAN, inner Ethernet. @source RFC 7348 */
const VXLAN_BYTES = { 4: 50, 6: 70 } as const

export const mtu: Check = {
  name: 'mtu',
  title: 'no link on the way is smaller than those before it',
  find: facts => [
    ...facts.segments.segments.flatMap(pairs),
    ...facts.hostView.links.flatMap(link => tunnel(link, facts))
  ]
}

/** Two ends of a wire, and the bridge that one of them is in. */
function pairs({ link: bridge, members }: Segment): readonly Finding[] {
  return members.flatMap(({ namespace, link, via }) => {
    const smaller = [via, bridge].filter(one => one !== undefined).find(one => one.mtu < link.mtu)
    if (smaller === undefined) return []
    return [
      {
        severity: 'error',
        what: `${link.name} of ${namespace.name} sends packets of ${String(link.mtu)} bytes, ${smaller.name} takes ${String(smaller.mtu)}`,
        evidence: [`MTU of ${link.name}: ${String(link.mtu)}`, `MTU of ${smaller.name}: ${String(smaller.mtu)}`],
        remedy: `"mtu": ${String(smaller.mtu)} in the network's configuration, or a larger MTU for ${smaller.name}; then attach the container again`
      } as const
    ]
  })
}

function tunnel(link: LinkView, facts: Facts): readonly Finding[] {
  if (link.vxlan === undefined || link.vxlan.local === '') return []
  const { local } = link.vxlan
  const below = facts.hostView.links.find(one => one.addresses.some(address => address.split('/')[0] === local))
  const most = below === undefined ? 0 : below.mtu - VXLAN_BYTES[local.includes(':') ? 6 : 4]
  if (below === undefined || link.mtu <= most) return []
  return [
    {
      severity: 'error',
      what: `tunnel ${link.name} takes frames that do not fit into ${below.name} once they are wrapped`,
      evidence: [`MTU of ${link.name}: ${String(link.mtu)}`, `MTU of ${below.name}: ${String(below.mtu)}`],
      remedy: `at most ${String(most)}: leave "mtu" out of the network's configuration, or make that of ${below.name} larger`
    }
  ]
}
