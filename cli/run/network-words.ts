/** `--network` of `run`. */
import { ENDPOINT_KEYS, type EndpointWish, readEndpoint } from '../endpoint.ts'
import { didYouMean } from '../nearest.ts'
import { UsageError } from '../output.ts'

export type Mode =
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  /** The network of another container. */
  | { readonly kind: 'container'; readonly word: string }
  | { readonly kind: 'networks'; readonly wishes: readonly NetworkWish[] }

export interface NetworkWish extends EndpointWish {
  readonly name: string
}

/**
 * `NET[,ip=A][,ip6=A][,mac-address=M][,ifname=I][,gw-priority=N][,alias=N…]`, `host`, `none`, `container:NAME`.
 *
 * @param otherwise the network where none is named
 * @throws UsageError
 */
export function parseNetworks(texts: readonly string[], otherwise: string): Mode {
  const words = texts.length === 0 ? [otherwise] : texts.map(text => (text === 'default' ? otherwise : text))
  const alone = words.find(word => word === 'host' || word === 'none' || word.startsWith('container:'))
  if (alone === undefined) return { kind: 'networks', wishes: words.map(parseWish) }
  if (words.length > 1) throw new UsageError(`read --network ${alone}: it goes with no other network`)
  if (alone === 'host' || alone === 'none') return { kind: alone }
  const word = alone.slice('container:'.length)
  if (word === '') throw new UsageError(`read --network ${alone}: which container?`, 'name it: --network container:web')
  return { kind: 'container', word }
}

function parseWish(text: string): NetworkWish {
  const [first = '', ...rest] = text.split(',')
  const pairs = rest.map(pair => splitPair(text, pair))
  for (const [key] of pairs) {
    if (!ENDPOINT_KEYS.includes(key)) {
      const message = `read --network ${text}: ${key} is unknown${didYouMean(key, ENDPOINT_KEYS)}`
      throw new UsageError(message, `keys are ${ENDPOINT_KEYS.join(', ')}`)
    }
  }
  const valuesOf = (key: string): readonly string[] => pairs.filter(pair => pair[0] === key).map(pair => pair[1])
  return { name: first.replace(/^name=/, ''), ...readEndpoint(valuesOf, key => `--network ${text}: ${key}`) }
}

function splitPair(text: string, pair: string): readonly [string, string] {
  const at = pair.indexOf('=')
  if (at <= 0) throw new UsageError(`read --network ${JSON.stringify(text)}: ${JSON.stringify(pair)} must be KEY=VALUE`)
  return [pair.slice(0, at), pair.slice(at + 1)]
}
