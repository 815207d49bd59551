/** What a network configuration asks of source-based routing. */
import { ipsOf } from '../../lib/attach/interface.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { IpConfig, Result } from '../../lib/cni/result.ts'
import type { Section } from '../../lib/config/section.ts'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'

export interface SbrConfig {
  /** The table that an administrator has filled; undefined = one for each address, filled from the main table. */
  readonly table: number | undefined
  /** At most one of each family; they replace those of the result. */
  readonly gateways: readonly IpAddress[]
  readonly addSourceHints: boolean
}

/** Table 0 is none. */
const MAX_TABLE = 4_294_967_295

/** @throws {ConfigError} naming every key that is wrong */
export function readConfig(config: Section): SbrConfig {
  const read: SbrConfig = {
    table: config.integer('table', 1, MAX_TABLE),
    gateways: readGateways(config),
    addSourceHints: config.boolean('addSourceHints', false)
  }
  config.finish()
  return read
}

function readGateways(config: Section): readonly IpAddress[] {
  const gateways: IpAddress[] = []
  for (const text of config.textList('gateways')) {
    const gateway = parseAddress(text)
    if (gateway === undefined) config.problem('gateways', 'must hold IP addresses')
    else if (gateways.some(other => other.family === gateway.family)) {
      config.problem('gateways', 'must hold at most one IPv4 and one IPv6 address')
    } else gateways.push(gateway)
  }
  return gateways
}

/**
 * The addresses of the container's interface in the result; one that names no interface is taken for its.
 *
 * @throws CniError code 7 when it has none
 */
export function sourceIps(request: Request, result: Result): readonly IpConfig[] {
  const ips = ipsOf(result, request.ifName)
  if (ips.length > 0) return ips
  const message = `route by source of ${JSON.stringify(request.ifName)}: it has no address in prevResult`
  throw new CniError(INVALID_CONFIG, message, 'chain sbr after a plugin that gives the interface addresses')
}
