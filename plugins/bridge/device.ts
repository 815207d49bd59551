/** The bridge itself: made once, shared by all containers of its networks, and never taken away by one of them. */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { stableMac } from '../../lib/ip/mac.ts'
import { errnoOf } from '../../lib/net/errors.ts'
import type { BridgeInfo, Link, Net } from '../../lib/net/net.ts'
import { machineId } from '../../lib/state/machine.ts'
import { type BridgeConfig, needsVlanFiltering } from './config.ts'

/**
 * Makes the bridge, or brings the one that is there in line with the configuration.
 *
 * A bridge left alone takes the lowest MAC of its ports and so changes its own whenever a container comes or goes;
 * every neighbour then sends to a MAC that is gone until its cache runs out. So it gets one at birth, from the
 * machine's id and its own name.
 *
 * @throws {CniError} code 7 when an interface that is no bridge has the name
 */
export function ensureBridge(host: Net, config: BridgeConfig): Link {
  const name = config.bridge
  const existing = host.findLink(name)
  const bridge = existing ?? addBridge(host, config)
  if (bridge.info.kind !== 'bridge') throw notABridge(name, bridge)
  if (existing === undefined) ignoreRouterAdvertisements(host, name)
  return reconcile(host, bridge, config)
}

/** Ten containers that start at once all find no bridge; nine of them then find that it exists. */
function addBridge(host: Net, config: BridgeConfig): Link {
  const name = config.bridge
  const kind: BridgeInfo = { kind: 'bridge', vlanFiltering: needsVlanFiltering(config) ? true : undefined }
  try {
    return host.addLink({
      name,
      kind,
      mac: stableMac(`bridge ${machineId()} ${name}`),
      mtu: config.mtu,
      up: true
    })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    return host.getLink(name)
  }
}

export function notABridge(name: string, link: Link): CniError {
  return new CniError(
    INVALID_CONFIG,
    `use bridge ${JSON.stringify(name)}: an interface of kind ${JSON.stringify(link.kind ?? 'device')} has this name`,
    'name another bridge in the key "bridge", or remove that interface'
  )
}

/**
 * What the configuration asks for and an existing bridge lacks is set; what it does not mention stays, because
 * another network may have asked for it on the same bridge.
 */
function reconcile(host: Net, bridge: Link, config: BridgeConfig): Link {
  const wantsFiltering =
    needsVlanFiltering(config) && !(bridge.info.kind === 'bridge' && bridge.info.vlanFiltering === true)
  const wantsMtu = config.mtu !== undefined && config.mtu !== bridge.mtu
  const wantsPromisc = config.promiscMode && !bridge.isPromiscuous
  if (bridge.isUp && !wantsFiltering && !wantsMtu && !wantsPromisc) return bridge
  host.setLink(bridge.index, {
    up: true,
    mtu: wantsMtu ? config.mtu : undefined,
    promiscuous: wantsPromisc ? true : undefined,
    vlanFiltering: wantsFiltering ? true : undefined
  })
  return host.getLink(config.bridge)
}

/** A container that sends router advertisements must not be able to configure the host. */
export function ignoreRouterAdvertisements(host: Net, name: string): void {
  const path = `ipv6/conf/${name}/accept_ra`
  const current = host.readSysctl(path)
  if (current !== undefined && current !== '0') host.writeSysctl(path, '0')
}
