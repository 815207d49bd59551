/** The address ranges of a network, as written in its configuration. */
import { memberOf } from '../lib/config/json.ts'
import { type IpPrefix, networkOf, parsePrefix } from '../lib/ip/prefix.ts'
import type { Network } from '../lib/runtime/network.ts'

/** Subnets of a network's address ranges, as written in its configuration. */
export function subnetsOf(one: Network): readonly IpPrefix[] {
  return rangesOf(one).flatMap(range => {
    const prefix = parsePrefix(range.subnet)
    return prefix === undefined ? [] : [networkOf(prefix)]
  })
}

interface ShownRange {
  readonly subnet: string
  readonly gateway: string
}

export function rangesOf(one: Network): readonly ShownRange[] {
  return one.plugins.flatMap(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    if (ipam === undefined) return []
    const sets = memberOf(ipam, 'ranges')?.items ?? []
    const ranges = [ipam, ...sets.flatMap(set => set.items)]
    return ranges.flatMap(range => {
      const subnet = memberOf(range, 'subnet')?.text ?? ''
      return subnet === '' ? [] : [{ subnet, gateway: memberOf(range, 'gateway')?.text ?? '' }]
    })
  })
}
