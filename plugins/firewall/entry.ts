/** What ADD wrote down about an attachment, for DEL and GC. */
import { type Json, jsonArray, jsonBoolean, jsonObject, jsonString } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { type Backend, backendOf, type IngressPolicy, policyOf } from './config.ts'

/** A container as the firewall sees it. */
export interface Place {
  readonly backend: Backend
  readonly policy: IngressPolicy
  /** `directRouting` */
  readonly isRouted: boolean
  /** firewalld's, for its backend */
  readonly zone: string
  /** The administrator's chain of iptables; '' where that was not written down. */
  readonly adminChain: string
  readonly addresses: readonly IpAddress[]
  /** The host's interfaces that its packets come by. */
  readonly interfaces: readonly string[]
  /** Its port of the bridge. */
  readonly port: string | undefined
  /** Its bridge, when it is that of an overlay network. */
  readonly overlay: string | undefined
}

export function entryOf(place: Place): Json {
  return jsonObject([
    ['backend', jsonString(place.backend)],
    ['policy', jsonString(place.policy)],
    ['directRouting', jsonBoolean(place.isRouted)],
    ['zone', jsonString(place.zone)],
    ['adminChain', jsonString(place.adminChain)],
    ['addresses', jsonArray(place.addresses.map(one => jsonString(formatAddress(one))))],
    ['interfaces', jsonArray(place.interfaces.map(one => jsonString(one)))],
    ['port', place.port === undefined ? undefined : jsonString(place.port)],
    ['overlay', place.overlay === undefined ? undefined : jsonString(place.overlay)]
  ])
}

/** @returns undefined when the entry is torn */
export function placeIn(entry: Json): Place | undefined {
  const section = new Section(entry)
  const backend = section.text('backend')
  if (backend === undefined) return undefined
  const addresses: IpAddress[] = []
  for (const text of section.textList('addresses')) {
    const address = parseAddress(text)
    if (address !== undefined) addresses.push(address)
  }
  return {
    backend: backendOf(backend),
    policy: policyOf(section.text('policy') ?? ''),
    isRouted: section.boolean('directRouting', true),
    zone: section.text('zone') ?? '',
    adminChain: section.text('adminChain') ?? '',
    addresses,
    interfaces: section.textList('interfaces'),
    port: section.text('port'),
    overlay: section.text('overlay')
  }
}
