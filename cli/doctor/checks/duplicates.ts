/** One address or one MAC twice on a segment: packets go to whoever answers first. */
import type { Segment } from '../../../lib/view/segments.ts'
import { plainAddresses } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

export const duplicates: Check = {
  name: 'duplicates',
  title: 'no address and no MAC is there twice',
  find: facts => facts.segments.segments.flatMap(segment => [...twice(segment, 'address'), ...twice(segment, 'MAC')])
}

function twice(segment: Segment, what: 'address' | 'MAC'): readonly Finding[] {
  const holders = new Map<string, string[]>()
  const hold = (key: string, holder: string): void => {
    const known = holders.get(key)
    if (known === undefined) holders.set(key, [holder])
    else if (!known.includes(holder)) known.push(holder)
  }
  const { link: own, members, namespace, kind } = segment
  // Containers on wires share nothing; ipvlan's have their parent's MAC by design.
  if (kind === 'wire' || kind === 'device' || (kind === 'ipvlan' && what === 'MAC')) return []
  for (const member of members) {
    const keys = what === 'MAC' ? [member.link.mac] : plainAddresses(member.link).filter(one => !/^fe80:/.test(one))
    for (const key of keys) if (key !== '') hold(key, `${member.namespace.name} ${member.link.name}`)
  }
  if (own !== undefined && what === 'address')
    for (const key of plainAddresses(own)) hold(key, `${namespace.name} ${own.name}`)
  return [...holders]
    .filter(([, names]) => names.length > 1)
    .map(([key, names]) => ({
      severity: 'error',
      what: `${what} ${key} is there ${String(names.length)} times on ${kind} ${own?.name ?? ''}`,
      evidence: names,
      remedy:
        what === 'MAC'
          ? 'give one of them another MAC (tuning, "mac"), or attach it again'
          : 'attach all but one of them again; where two pools give out the same addresses, separate them'
    }))
}
