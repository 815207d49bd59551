/**
 * The configuration of host-local: `ipam` of the network, and what the caller adds for one attachment.
 */
import { everyRequestedAddress } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Dns, NO_DNS, type Route } from '../../lib/cni/result.ts'
import { readRoutes } from '../../lib/cni/result-json.ts'
import { jsonObject } from '../../lib/config/json.ts'
import { ConfigError, Section } from '../../lib/config/section.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { type Pool, readPool } from '../../lib/ranges/pool.ts'
import { readDataDir } from '../../lib/state/data-dir.ts'
import { readResolvConf } from './resolv-conf.ts'

export interface HostLocalConfig {
  readonly dataDir: string
  readonly pool: Pool
  readonly routes: readonly Route[]
  readonly dns: Dns
  /** Addresses that the caller wants, each once. */
  readonly requested: readonly IpAddress[]
}

/** @throws {ConfigError} that lists everything wrong */
export function readConfig(request: Request): HostLocalConfig {
  const ipam = ipamSection(request)
  const config = {
    dataDir: readDataDir(ipam, request.command) ?? '',
    pool: readPool(request, ipam),
    routes: readRoutes(ipam.sections('routes')),
    dns: readDnsOf(ipam),
    requested: request.command === 'ADD' ? everyRequestedAddress(request) : []
  }
  request.config.finish()
  return config
}

/**
 * Where the leases are: all that DEL and GC need of the configuration, whatever has become of the rest.
 *
 * @returns undefined on DEL where no lease can be believed
 */
export function readDataDirOnly(request: Request): string | undefined {
  const { config, command } = request
  const ipam = config.section('ipam') ?? new Section(jsonObject([]))
  const dataDir = readDataDir(ipam, command)
  config.finish()
  return dataDir
}

function ipamSection(request: Request): Section {
  const ipam = request.config.section('ipam')
  if (ipam === undefined) throw new ConfigError(['ipam is required'])
  return ipam
}

function readDnsOf(ipam: Section): Dns {
  const path = ipam.text('resolvConf') ?? ''
  if (path === '') return NO_DNS
  const dns = readResolvConf(path)
  if (dns === undefined) ipam.problem('resolvConf', 'must be the path of a readable file')
  return dns ?? NO_DNS
}
