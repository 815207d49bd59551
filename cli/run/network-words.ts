/** `--network` of `run`. */
import { checkedName } from '../names.ts'
import { UsageError } from '../output.ts'

export type Mode =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  /** The network of another container. */
  | { readonly kind: 'container'; readonly word: string }
  | { readonly kind: 'networks'; readonly wishes: readonly NetworkWish[] }

export interface NetworkWish {
  readonly name: string
  /** Addresses that are asked for. */
  readonly addresses: readonly string[]
  readonly mac: string | undefined
  /** What else it is called there. */
  readonly aliases: readonly string[]
  readonly ifName: string | undefined
}

const KEYS = ['ip', 'ip6', 'mac-address', 'ifname', 'alias']

/**
 * `NET[,ip=A][,ip6=A][,mac-address=M][,ifname=I][,alias=N…]`, `host`, `none`, `container:NAME`.
 *
 * @param otherwise the network where none is named
 * @throws UsageError
 */
export function parseNetworks(texts: readonly string[], otherwise: string): Mode {
  const words = texts.length === 0 ? [otherwise] : texts
  const alone = words.find(word => word === 'host' || word === 'none' || word.startsWith('container:'))
  if (alone === undefined) return { kind: 'networks', wishes: words.map(parseWish) }
  if (words.length > 1) throw new UsageError(`read --network ${alone}: it goes with no other network`)
  if (alone === 'host' || alone === 'none') return { kind: alone }
  return { kind: 'container', word: alone.slice('container:'.length) }
}

function parseWish(text: string): NetworkWish {
  const [first = '', ...rest] = text.split(',')
  const all = rest.map(pair => splitPair(text, pair))
  const pairs = new Map(all)
  const name = first.replace(/^name=/, '')
  for (const key of pairs.keys()) {
    if (!KEYS.includes(key))
      throw new UsageError(`read --network ${text}: ${key} is unknown`, `keys are ${KEYS.join(', ')}`)
  }
  const addresses = [pairs.get('ip'), pairs.get('ip6')].filter(one => one !== undefined)
  const aliases = all
    .filter(([key]) => key === 'alias')
    .map(([, value]) => checkedName(`--network ${text}: alias`, value))
  return { name, addresses, aliases, mac: pairs.get('mac-address'), ifName: pairs.get('ifname') }
}

function splitPair(text: string, pair: string): readonly [string, string] {
  const at = pair.indexOf('=')
  if (at <= 0) throw new UsageError(`read --network ${JSON.stringify(text)}: ${JSON.stringify(pair)} must be KEY=VALUE`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}
