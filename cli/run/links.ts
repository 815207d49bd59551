/** `--link NAME[:ALIAS]` of `run`: the container NAME under one more name, which this container alone uses. */
import type { AttachmentCache } from '../../lib/runtime/cache.ts'
import { capabilitiesOf, type Network } from '../../lib/runtime/network.ts'
import type { Containers } from '../container.ts'
import { checkedName } from '../names.ts'
import { CommandError } from '../output.ts'

export interface LinkWish {
  readonly word: string
  readonly alias: string
}

export interface ResolvedLink extends LinkWish {
  /** Its name on the networks that both are on. */
  readonly target: string
  readonly networks: readonly string[]
}

/** @throws UsageError */
export function parseLink(text: string): LinkWish {
  const [word = '', alias = word] = text.split(/:(.*)/s)
  return { word, alias: checkedName(`--link ${JSON.stringify(text)}: alias`, alias) }
}

/** Of an identifier of 64 hexadecimal digits the first twelve are a name (plugin dns). */
const SHORT_ID = 12

/**
 * Looks for the containers.
 *
 * @param containers where they are looked for
 * @param networks those that the container will be on
 * @throws CommandError for one that is not there, or on none of these networks
 */
export async function resolveLinks(
  links: readonly LinkWish[],
  containers: Containers,
  networks: readonly Network[],
  cache: AttachmentCache
): Promise<readonly ResolvedLink[]> {
  const answered = networks.filter(one => capabilitiesOf(one).includes('aliases')).map(one => one.name)
  const resolved: ResolvedLink[] = []
  for (const link of links) {
    const { containerId, name } = await containers.living(link.word, undefined)
    const attached = cache.list().filter(one => one.containerId === containerId)
    const shared = attached.map(one => one.network).filter(one => answered.includes(one))
    if (shared.length === 0) {
      throw new CommandError(
        `link ${JSON.stringify(link.word)}: it is on no network with names that this container is on`,
        `name one of its networks: --network NET; it is on ${attached.map(one => one.network).join(', ') || 'none'}`
      )
    }
    const target = name === '' ? containerId.slice(0, /^[0-9a-f]{64}$/.test(containerId) ? SHORT_ID : undefined) : name
    resolved.push({ ...link, target, networks: shared })
  }
  return resolved
}

/** What the plugin dns is told of them. */
export function linkArgs(links: readonly ResolvedLink[], network: Network): readonly (readonly [string, string])[] {
  const own = links.filter(one => one.networks.includes(network.name))
  return own.length === 0 ? [] : [['PATCHBAY_LINKS', own.map(one => `${one.alias}:${one.target}`).join(',')]]
}
