/** A container's default gateway that is nobody's address. */
import type { Member, Segment } from '../../../lib/view/segments.ts'
import { plainAddresses } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const gateways: Check = {
  name: 'gateways',
  title: 'the gateway of each container is there',
  find: facts =>
    facts.segments.segments
      .filter(
        ({ kind, ports }) => kind === 'bridge' && ports.every(port => port.kind === 'veth' || port.kind === 'vxlan')
      )
      .flatMap(segment => segment.members.flatMap(member => lost(member, segment)))
}

/** Behind a physical port the gateway may be a router of the network outside; then nothing can be said from here. */
function lost({ namespace, link }: Member, { link: bridge, members }: Segment): readonly Finding[] {
  if (bridge === undefined) return []
  const held = new Set([bridge, ...members.map(one => one.link)].flatMap(plainAddresses))
  return namespace.routes
    .filter(
      route => route.dst === 'default' && route.link === link.name && route.gateway !== '' && !held.has(route.gateway)
    )
    .map(route => ({
      severity: 'error',
      what: `the default gateway of ${namespace.name}, ${route.gateway}, is nobody's address`,
      evidence: [
        `route default via ${route.gateway} dev ${link.name} in ${namespace.name}`,
        `${bridge.name} has ${bridge.addresses.join(' ') || 'no address'}`
      ],
      remedy: `give the address back to the bridge (ip address add ${route.gateway}/LENGTH dev ${bridge.name}), or attach a container: ADD puts it there`
    }))
}
