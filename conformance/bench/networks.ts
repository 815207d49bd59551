/** The networks that scenarios attach containers to. */
import type { JsonObject } from './chain.ts'
import type { Stage } from './scenario.ts'

export const VERSION = '1.0.0'
/** The first version with STATUS. */
export const STATUS_VERSION = '1.1.0'
export const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
export const V4 = { subnet: '10.77.0.0/16' }
export const V6 = { subnet: 'fd77::/64' }
const DEFAULT_ROUTE = [{ dst: '0.0.0.0/0' }]

export function hostLocal(stage: Stage, ranges: readonly JsonObject[] = [V4]): JsonObject {
  const { dataDir } = stage
  return { type: 'host-local', ranges: ranges.map(range => [range]), routes: DEFAULT_ROUTE, dataDir }
}

export function bridge(stage: Stage, more: JsonObject = {}, ranges: readonly JsonObject[] = [V4]): JsonObject {
  return { type: 'bridge', bridge: 'cni0', isGateway: true, ipam: hostLocal(stage, ranges), ...more }
}

/** The other host of the overlay is whoever holds the far end of the uplink. Bridge and tunnel stay, as bridge's do. */
export function vxlan(stage: Stage, more: JsonObject = {}): JsonObject {
  const ipam = hostLocal(stage, [{ subnet: '10.78.0.0/16' }])
  return {
    type: 'vxlan',
    vni: 42,
    dev: 'uplink',
    peers: ['192.0.2.1'],
    isGateway: true,
    keepDevices: true,
    ipam,
    ...more
  }
}

/** The `portmap` configuration that publishes ports of the container. */
export function published(...ports: readonly (readonly [hostPort: number, containerPort: number])[]): JsonObject {
  const portMappings = ports.map(([hostPort, containerPort]) => ({ hostPort, containerPort, protocol: 'tcp' }))
  return { type: 'portmap', capabilities: { portMappings: true }, runtimeConfig: { portMappings } }
}

export const BANDWIDTH = {
  type: 'bandwidth',
  ingressRate: 8e6,
  ingressBurst: 8e5,
  egressRate: 8e6,
  egressBurst: 8e5
}

export const BRIDGE_NEEDS: readonly string[] = ['bridge', 'host-local']
