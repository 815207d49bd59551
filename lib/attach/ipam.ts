/** Addresses for an attachment, from the IPAM plugin that the network names. */
import type { Request } from '../cni/plugin.ts'
import type { Dns, Result } from '../cni/result.ts'
import { readDns } from '../cni/result-json.ts'
import type { IpAddress } from '../ip/address.ts'
import { readDataDir } from '../state/data-dir.ts'
import { LeaseDirectory } from '../state/leases.ts'

/** Writes down as a problem of the configuration that it names no IPAM plugin. Call it before `config.finish()`. */
export function requireIpam(request: Request): void {
  if (request.ipam.type() === '') request.config.problem('ipam', 'must name an IPAM plugin in its type')
}

/**
 * Whether the address is leased by messages over the very interface it is for: then the interface has to be there
 * before the address, and must not go before the address is given back.
 */
export function leasesOverInterface(request: Request): boolean {
  const ipam = request.config.section('ipam')
  return ipam !== undefined && ipam.text('type') === 'dhcp'
}

/**
 * What the attachment holds of the addresses that host-local gives away, whoever of its implementations gave it.
 *
 * @returns undefined where only the IPAM plugin itself could tell
 */
export function leasedTo(request: Request): readonly IpAddress[] | undefined {
  const ipam = request.config.section('ipam')
  if (ipam === undefined || ipam.text('type') !== 'host-local') return undefined
  const dataDir = readDataDir(ipam, request.command)
  if (dataDir === undefined) return undefined
  const leases = new LeaseDirectory(dataDir, request.network)
  return leases.exists() ? leases.locked(() => leases.heldBy(request)) : []
}

/**
 * The configuration's `dns` in place of IPAM's when it says anything, empty lists too: `"nameservers": []` is how a network
 * takes away what IPAM would give. An absent or an empty object says nothing.
 */
export function effectiveDns(request: Request, leased: Result): Dns {
  return saysDns(request) ? readDns(request.config.section('dns')) : leased.dns
}

/** Whether the configuration has a say in what the container's name servers are. */
export function saysDns(request: Request): boolean {
  const dns = request.config.section('dns')
  if (dns === undefined) return false
  return dns.has('nameservers') || dns.has('search') || dns.has('options') || (dns.text('domain') ?? '') !== ''
}
