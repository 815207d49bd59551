/**
 * static gives the addresses that are written down: in the configuration, or by the caller for one attachment. That no
 * two containers get the same is up to whoever writes them down, unless it keeps account of them in the leases of a
 * network that chooses its addresses (`leasesOf`).
 *
 *     ipam.addresses + CNI_ARGS IP, GATEWAY   unless there is   args.cni.ips   unless there is   runtimeConfig.ips
 */
import { isName } from '../../lib/attachment.ts'
import { CniError, INVALID_ENVIRONMENT } from '../../lib/cni/error.ts'
import { cniArgsSection, requiredPrevResult, runtimeConfig } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { type IpConfig, MOST_ADDRESSES, type Result } from '../../lib/cni/result.ts'
import { readDns, readRoutes } from '../../lib/cni/result-json.ts'
import { isAtLeast } from '../../lib/cni/version.ts'
import { readAddress, readPrefix } from '../../lib/config/addresses.ts'
import { ConfigError, type Section } from '../../lib/config/section.ts'
import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatPrefix, type IpPrefix, parsePrefix, prefixContains, prefixesEqual } from '../../lib/ip/prefix.ts'
import { readDataDir } from '../../lib/state/data-dir.ts'
import { Reservations } from './reservations.ts'

/** CHECK: an address is not in prevResult as it was given. */
const ADDRESS_DIFFERS = 102

export function staticAddresses(): Plugin {
  return { name: 'static', since: '0.1.0', givesAddresses: true, add, del, check, gc, status }
}

function add(request: Request): Result {
  const reservations = reservationsOf(request)
  const given = readConfig(request)
  if (reservations !== undefined) reservations.take(request, addressesIn(given))
  return given
}

/** Whatever the configuration's addresses are by now. */
function del(request: Request): void {
  const reservations = reservationsOf(request)
  if (reservations !== undefined) reservations.release(request)
}

function gc(request: Request): void {
  const reservations = reservationsOf(request)
  if (reservations !== undefined) reservations.collect(request.validAttachments)
}

/** Where account is kept of the addresses; undefined when it is not. */
function reservationsOf(request: Request): Reservations | undefined {
  const ipam = request.config.section('ipam')
  const pool = ipam?.text('leasesOf') ?? ''
  if (ipam === undefined || pool === '') return undefined
  const dataDir = readDataDir(ipam, request.command)
  // It becomes the name of a directory.
  if (!isName(pool)) ipam.problem('leasesOf', 'must be the name of a network')
  ipam.finish()
  return dataDir === undefined ? undefined : new Reservations(dataDir, pool, request.network)
}

function addressesIn(result: Result): readonly IpAddress[] {
  return result.ips.map(ip => ip.address.address)
}

function check(request: Request): void {
  const reservations = reservationsOf(request)
  const given = readConfig(request)
  const result = requiredPrevResult(request)
  const faults: string[] = []
  if (reservations !== undefined) {
    const held = reservations.heldOf(request, addressesIn(given))
    for (const address of addressesIn(given)) {
      if (held.some(one => addressesEqual(one, address))) continue
      faults.push(`${JSON.stringify(formatAddress(address))} is not leased to it`)
    }
  }
  for (const ip of given.ips) {
    const shown = result.ips.find(other => prefixesEqual(other.address, ip.address))
    if (shown === undefined) faults.push(`prevResult lacks ${JSON.stringify(formatPrefix(ip.address))}`)
    // A gateway that was not given may have been filled in by the plugin that asked.
    else if (ip.gateway !== undefined && !isSameGateway(ip.gateway, shown.gateway)) {
      const got = shown.gateway === undefined ? 'none' : JSON.stringify(formatAddress(shown.gateway))
      const wanted = JSON.stringify(formatAddress(ip.gateway))
      faults.push(`the gateway of ${JSON.stringify(formatPrefix(ip.address))} must be ${wanted}, prevResult has ${got}`)
    }
  }
  if (faults.length === 0) return
  const who = `container ${JSON.stringify(request.containerId)} interface ${JSON.stringify(request.ifName)}`
  throw new CniError(ADDRESS_DIFFERS, `check addresses of ${who}: ${faults.join('; ')}`, 'attach the container again')
}

function isSameGateway(wanted: IpAddress, got: IpAddress | undefined): boolean {
  return got !== undefined && addressesEqual(wanted, got)
}

/** Ready when the configuration can be read. */
function status(request: Request): void {
  reservationsOf(request)
  readConfig(request)
}

/** @throws {ConfigError} that lists everything wrong; CniError code 4 for CNI_ARGS */
function readConfig(request: Request): Result {
  const ipam = request.config.section('ipam')
  if (ipam === undefined) throw new ConfigError(['ipam is required'])
  const ips = chooseAddresses(request, ipam)
  if (!isAtLeast(request.cniVersion, '0.3.0')) {
    for (const family of [4, 6]) {
      if (ips.filter(ip => ip.address.address.family === family).length < 2) continue
      ipam.problem('addresses', `must hold one address per family in cniVersion ${request.cniVersion}`)
    }
  }
  const result: Result = {
    interfaces: [],
    ips,
    routes: readRoutes(ipam.sections('routes')),
    dns: readDns(ipam.section('dns'))
  }
  request.config.finish()
  return result
}

/** What the caller lists replaces everything of lower precedence, gateways included; CNI_ARGS only adds. */
function chooseAddresses(request: Request, ipam: Section): readonly IpConfig[] {
  const configured = readAddresses(ipam).concat(addressesOfVariable(request))
  const conventional = readList(cniArgsSection(request.config))
  const runtime = readList(runtimeConfig(request.config))
  if (runtime.length > 0) return runtime
  return conventional.length > 0 ? conventional : configured
}

function readAddresses(ipam: Section): readonly IpConfig[] {
  const ips: IpConfig[] = []
  for (const section of ipam.bounded('addresses', ipam.sections('addresses'), MOST_ADDRESSES)) {
    const address = readPrefix(section, 'address')
    const gateway = readAddress(section, 'gateway')
    if (address === undefined) {
      if ((section.text('address') ?? '') === '') section.problem('address', 'is required')
      continue
    }
    if (gateway !== undefined && gateway.family !== address.address.family) {
      section.problem('gateway', `must be of the family of ${formatPrefix(address)}`)
    }
    ips.push({ address, gateway })
  }
  return ips
}

function readList(section: Section | undefined): readonly IpConfig[] {
  const ips: IpConfig[] = []
  if (section === undefined) return ips
  for (const text of section.bounded('ips', section.textList('ips'), MOST_ADDRESSES)) {
    if (text === '') continue
    const address = parsePrefix(text)
    if (address === undefined) section.problem('ips', 'must hold addresses with prefix length')
    else ips.push({ address })
  }
  return ips
}

/** CNI_ARGS IP, each with the GATEWAY that is in its network; of several the last. */
function addressesOfVariable(request: Request): readonly IpConfig[] {
  const gateways: IpAddress[] = []
  for (const text of wordsOf(request, 'GATEWAY')) {
    const gateway = parseAddress(text)
    if (gateway === undefined) throw badArgument('GATEWAY', 'addresses separated by ","', text)
    gateways.unshift(gateway)
  }
  const ips: IpConfig[] = []
  for (const text of wordsOf(request, 'IP')) {
    const address = parsePrefix(text)
    if (address === undefined) throw badArgument('IP', 'addresses with prefix length, separated by ","', text)
    ips.push({ address, gateway: gatewayIn(address, gateways) })
  }
  return ips
}

function gatewayIn(network: IpPrefix, gateways: readonly IpAddress[]): IpAddress | undefined {
  return gateways.find(gateway => prefixContains(network, gateway))
}

function wordsOf(request: Request, key: string): readonly string[] {
  const words = (request.args.get(key) ?? '').split(',').map(word => word.trim())
  return words.filter(word => word !== '')
}

function badArgument(key: string, expectation: string, text: string): CniError {
  const message = `read CNI_ARGS: ${key} must be ${expectation}, got ${JSON.stringify(text)}`
  return new CniError(INVALID_ENVIRONMENT, message, `correct ${key} or leave it out`)
}
