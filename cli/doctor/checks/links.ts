/** Interfaces that should carry traffic and are down. */
import type { LinkView, NamespaceView } from '../../../lib/view/model.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const links: Check = {
  name: 'links',
  title: 'bridges and both ends of wires are up',
  find: facts =>
    facts.segments.segments
      .filter(segment => segment.namespace.isHost && segment.members.length > 0)
      .flatMap(({ link, members }) => [
        ...(link === undefined ? [] : downOnHost(link, facts)),
        ...members.flatMap(member => [
          ...(member.via === undefined ? [] : downOnHost(member.via, facts)),
          ...downInside(member.link, member.namespace)
        ])
      ])
}

function downOnHost(link: LinkView, facts: Facts): readonly Finding[] {
  if (link.isUp) return []
  return [
    {
      severity: 'error',
      what: `${link.name} of the host is down, and containers are behind it`,
      evidence: [`ip link show ${link.name}: no UP among its flags`],
      remedy: `ip link set ${link.name} up`,
      fix: { words: `ip link set ${link.name} up`, apply: () => facts.host.links.set(link.index, { up: true }) }
    }
  ]
}

/** What a container does with its own interface is its own affair. */
function downInside(link: LinkView, namespace: NamespaceView): readonly Finding[] {
  if (link.isUp) return []
  return [
    {
      severity: 'warning',
      what: `${link.name} of ${namespace.name} is down`,
      evidence: [`in ${namespace.paths[0] ?? namespace.id}: no UP among its flags`],
      remedy: `set it up in the container, or attach it again`
    }
  ]
}
