/** The address ranges of a network, as written in its configuration. */
import { type Json, memberOf } from '../config/json.ts'
import { type IpPrefix, networkOf, parsePrefix } from '../ip/prefix.ts'
import type { Network } from './network.ts'

/** Subnets of a network's address ranges, as written in its configuration. */
export function subnetsOf(one: Network): readonly IpPrefix[] {
  return rangesOf(one).flatMap(range => {
    const prefix = parsePrefix(range.subnet)
    return prefix === undefined ? [] : [networkOf(prefix)]
  })
}

/** Texts that are not there are ''. */
interface ShownRange {
  readonly subnet: string
  readonly gateway: string
  readonly start: string
  readonly end: string
  readonly exclude: readonly string[]
}

export function rangesOf(one: Network): readonly ShownRange[] {
  return one.plugins.flatMap(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    if (ipam === undefined) return []
    const sets = memberOf(ipam, 'ranges')?.items ?? []
    return [ipam, ...sets.flatMap(set => set.items)].flatMap(rangeOf)
  })
}

function rangeOf(range: Json): readonly ShownRange[] {
  const text = (key: string): string => memberOf(range, key)?.text ?? ''
  const subnet = text('subnet')
  if (subnet === '') return []
  const exclude = (memberOf(range, 'exclude')?.items ?? []).map(item => item.text)
  return [{ subnet, gateway: text('gateway'), start: text('rangeStart'), end: text('rangeEnd'), exclude }]
}
