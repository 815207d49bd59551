/** The bridge of this configuration; it is never taken away by one of its containers. */
import { ensureBridgeDevice } from '../../lib/attach/bridge-device.ts'
import { stableMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { machineId } from '../../lib/state/machine.ts'
import { type BridgeConfig, needsVlanFiltering } from './config.ts'

/**
 * Makes the bridge, or brings the one that is there in line with the configuration. Its MAC address follows from the
 * machine's id and its own name.
 *
 * @throws {CniError} code 7 when an interface that is no bridge has the name
 */
export function ensureBridge(host: Net, config: BridgeConfig): Link {
  return ensureBridgeDevice(host, {
    name: config.bridge,
    mac: stableMac(`bridge ${machineId()} ${config.bridge}`),
    mtu: config.mtu,
    vlanFiltering: needsVlanFiltering(config),
    promiscuous: config.promiscMode,
    groupId: 0,
    made: () => undefined
  })
}
