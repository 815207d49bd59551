/** What a person can ask of one attachment: the options of `network connect` and `run`, and the keys of `--network NET,KEY=VALUE`. */
import { parseAddress } from '../lib/ip/address.ts'
import { gatewayPriority, priorityArgs } from './gateways.ts'
import { checkedName } from './names.ts'
import { didYouMean } from './nearest.ts'
import { UsageError } from './output.ts'

export interface EndpointWish {
  /** Addresses that are asked for, one of each family at most. */
  readonly addresses: readonly string[]
  readonly mac: string | undefined
  /** What else it is called there. */
  readonly aliases: readonly string[]
  readonly ifName: string | undefined
  /** Of the networks of a container that with the highest has its default route. */
  readonly gatewayPriority: number
}

export const ENDPOINT_KEYS: readonly string[] = [
  'ip',
  'ip6',
  'mac-address',
  'alias',
  'ifname',
  'gw-priority',
  'driver-opt',
  'link-local-ip'
]

/** Docker's options of an endpoint's driver that mean something here. */
const IFNAME_OPTION = 'com.docker.network.endpoint.ifname'
const DRIVER_OPTIONS: readonly string[] = [IFNAME_OPTION]

/**
 * @param valuesOf what was given for a key, in its order
 * @param nameOf how the key is called where it was given
 * @throws UsageError
 */
export function readEndpoint(
  valuesOf: (key: string) => readonly string[],
  nameOf: (key: string) => string
): EndpointWish {
  const last = (key: string): string | undefined => valuesOf(key).at(-1)
  if (last('link-local-ip') !== undefined) {
    throw new UsageError(
      `read ${nameOf('link-local-ip')}: a link-local address is the interface's own, which the kernel makes of its MAC`,
      'leave it out; an IPv6 network gives the interface one'
    )
  }
  const addresses = [...addressOf('ip', 4), ...addressOf('ip6', 6)]
  function addressOf(key: string, family: 4 | 6): readonly string[] {
    const text = last(key)
    if (text === undefined || parseAddress(text)?.family === family) return text === undefined ? [] : [text]
    throw new UsageError(`read ${nameOf(key)} ${JSON.stringify(text)}: must be an IPv${String(family)} address`)
  }
  return {
    addresses,
    mac: last('mac-address'),
    aliases: valuesOf('alias').map(text => checkedName(nameOf('alias'), text)),
    ifName: last('ifname') ?? driverOptions(valuesOf('driver-opt'), nameOf('driver-opt')).get(IFNAME_OPTION),
    gatewayPriority: gatewayPriority(nameOf('gw-priority'), last('gw-priority'))
  }
}

function driverOptions(texts: readonly string[], option: string): ReadonlyMap<string, string> {
  const pairs = texts.map(text => {
    const at = text.indexOf('=')
    if (at <= 0) throw new UsageError(`read ${option} ${JSON.stringify(text)}: must be KEY=VALUE`)
    const key = text.slice(0, at)
    if (!DRIVER_OPTIONS.includes(key)) {
      throw new UsageError(
        `read ${option} ${JSON.stringify(key)}: unknown${didYouMean(key, DRIVER_OPTIONS)}`,
        `known is ${DRIVER_OPTIONS.join(', ')}; sysctls are the network's: plugin tuning`
      )
    }
    return [key, text.slice(at + 1)] as const
  })
  return new Map(pairs)
}

/** What of it goes to every plugin of the chain, as CNI_ARGS. */
export function endpointArgs(wish: EndpointWish): readonly (readonly [string, string])[] {
  return [
    ['IgnoreUnknown', '1'],
    ...(wish.addresses.length === 0 ? [] : [['IP', wish.addresses.join(',')] as const]),
    ...(wish.mac === undefined ? [] : [['MAC', wish.mac] as const]),
    ...priorityArgs(wish.gatewayPriority)
  ]
}
