/** Taking leases for an interface that has none: one by each version of the protocol that is wanted, or none at all. */
import type { Attachment } from '../lib/attachment.ts'
import { CniError, INVALID_CONFIG, TRY_AGAIN_LATER } from '../lib/cni/error.ts'
import { attachmentText } from '../lib/daemon/attachment.ts'
import type { Link } from '../lib/net/links.ts'
import { messageOf } from '../lib/sys/errors.ts'
import { NoLease, type Patience } from './acquisition.ts'
import type { ContainerLink } from './container-link.ts'
import { HOST_NAME } from './message.ts'
import { clientIdOf, type IpamConfig } from './options-config.ts'
import { type Asker, type Given, giveBack, type Place, take } from './speech.ts'
import { clock } from './time.ts'
import { client6Of } from './v6/exchange.ts'

export interface Taking {
  readonly attachment: Attachment
  /** As the runtime named it. */
  readonly netns: string
  readonly config: IpamConfig
  /** Has all answers sent as broadcasts. */
  readonly broadcast: boolean
  readonly patience: Patience
  readonly signal: AbortSignal
  readonly log: (message: string) => void
}

/**
 * The interface is left as it was found: the plugin sets it up when it has its address, which announces that.
 *
 * @returns in the order of the families
 * @throws CniError code 7 without such an interface, 11 when a server has none to give; then nothing is held
 */
export async function takeAll(
  link: ContainerLink,
  taking: Taking
): Promise<{ readonly found: Link; readonly given: readonly Given[] }> {
  const { attachment, config, signal } = taking
  const found = requireLink(link, taking)
  const wasDown = !found.isUp
  const deadline = clock() + taking.patience.total
  try {
    await link.bringUp(found, config.families, signal)
    const patience = { ...taking.patience, total: deadline - clock() }
    const log = (message: string): void => taking.log(`lease for ${attachmentText(attachment)}: ${message}`)
    const place: Place = { link, found, signal, log }
    const outcomes = await Promise.allSettled(askersOf(taking, found).map(asker => take(place, asker, patience)))
    const given = outcomes.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
    const failed = outcomes.find(one => one.status === 'rejected')
    if (failed === undefined) return { found, given }
    // Half of what was wanted is nothing: the container would run without the other half and never get it.
    await giveAllBack({ ...place, signal: new AbortController().signal }, given)
    throw failed.reason
  } catch (error) {
    if (signal.aborted) throw abandoned(attachment, signal)
    if (!(error instanceof NoLease)) throw error
    throw new CniError(
      TRY_AGAIN_LATER,
      `take a lease for ${attachmentText(attachment)}: ${error.message}`,
      "see that the network which the container's interface is connected to has a DHCP server with free addresses; ipam.timeout is how long it may take"
    )
  } finally {
    if (wasDown && link.find() !== undefined) link.takeDown(found)
  }
}

async function giveAllBack(place: Place, given: readonly Given[]): Promise<void> {
  for (const { terms } of given) {
    try {
      await giveBack(place, terms, false)
    } catch (error) {
      place.log(`is not given back, the server will notice when it ends: ${messageOf(error)}`)
    }
  }
}

function askersOf({ attachment, config, broadcast }: Taking, { kind }: Link): readonly Asker[] {
  const { containerId, network, ifName } = attachment
  // All ipvlans of an interface have its MAC: only by the address is an answer told apart, and there is none yet. So
  // nobody's answer to "who has it" is heard either.
  const isShared = kind === 'ipvlan'
  const { families, ...options } = config
  return families.map(family => {
    if (family === 4) {
      const clientId = clientIdOf(containerId, network, ifName)
      const probe = isShared ? 0 : options.probe
      return { family, client: { clientId, options: { ...options, probe }, broadcast: broadcast || isShared } }
    }
    const hostName = Buffer.from(options.provide.get(HOST_NAME) ?? new Uint8Array()).toString()
    return { family, client: client6Of(`${containerId}/${network}/${ifName}`, hostName, options.probe) }
  })
}

/** @throws CniError code 7 when there is no interface that could speak DHCP */
function requireLink(link: ContainerLink, { attachment, netns }: Taking): Link {
  const found = link.find()
  // The loopback interface has six zeros.
  if (found?.mac?.length === 6 && found.mac.some(byte => byte !== 0)) return found
  const what = found === undefined ? 'no interface of this name' : 'an interface without a MAC address'
  throw new CniError(
    INVALID_CONFIG,
    `take a lease for ${attachmentText(attachment)}: the namespace ${JSON.stringify(netns)} has ${what}`,
    'ipam "dhcp" works with plugins that make an Ethernet interface before they ask for its address: macvlan, ipvlan, bridge, vlan, host-device'
  )
}

export function abandoned(attachment: Attachment, signal: AbortSignal): CniError {
  return new CniError(
    TRY_AGAIN_LATER,
    `take a lease for ${attachmentText(attachment)}: ${messageOf(signal.reason)}`,
    'call ADD again'
  )
}
