/**
 * Results on the wire. Plugins work in the newest form; every older form is read into it and written from it here, and
 * nowhere else.
 *
 *     0.1.0, 0.2.0         ip4 and ip6, one address each, routes inside
 *     0.3.0, 0.3.1, 0.4.0  interfaces, ips (with "version": "4" or "6"), routes
 *     1.0.0                the same without ips[].version
 *     1.1.0                interfaces[].mtu socketPath pciID; routes[].mtu advmss priority table scope
 *
 * @source CNI specification 0.2.0, 0.4.0, 1.0.0, 1.1.0, "Result"
 */
import { readAddress, readPrefix } from '../config/addresses.ts'
import { type Json, jsonArray, jsonNumber, jsonObject, jsonString, jsonText, memberOf } from '../config/json.ts'
import { Section } from '../config/section.ts'
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { formatPrefix, type IpPrefix } from '../ip/prefix.ts'
import { CniError, DECODE_FAILURE } from './error.ts'
import { type Dns, type Interface, type IpConfig, MOST_ADDRESSES, NO_DNS, type Result, type Route } from './result.ts'
import { isAtLeast, isKnownVersion, KNOWN_VERSIONS } from './version.ts'

const BIGGEST = 4_294_967_295

/** Writes a result in the form of `version`, which must be known. What the form has no place for is left out. */
export function resultToJson(result: Result, version: string): Json {
  if (!isAtLeast(version, '0.3.0')) return legacyResult(result, version)
  return jsonObject([
    ['cniVersion', jsonString(version)],
    ['interfaces', listOrAbsent(result.interfaces.map(one => interfaceToJson(one, version)))],
    ['ips', listOrAbsent(result.ips.map(one => ipToJson(one, version)))],
    ['routes', listOrAbsent(result.routes.map(one => routeToJson(one, version)))],
    ['dns', dnsToJson(result.dns)]
  ])
}

function listOrAbsent(items: readonly Json[]): Json | undefined {
  return items.length === 0 ? undefined : jsonArray(items)
}

function textOrAbsent(text: string | undefined): Json | undefined {
  return text === undefined || text === '' ? undefined : jsonString(text)
}

function numberOrAbsent(value: number | undefined): Json | undefined {
  return value === undefined ? undefined : jsonNumber(value)
}

function interfaceToJson(one: Interface, version: string): Json {
  const newest = isAtLeast(version, '1.1.0')
  return jsonObject([
    ['name', jsonString(one.name)],
    ['mac', textOrAbsent(one.mac)],
    ['mtu', newest ? numberOrAbsent(one.mtu) : undefined],
    ['sandbox', textOrAbsent(one.sandbox)],
    ['socketPath', newest ? textOrAbsent(one.socketPath) : undefined],
    ['pciID', newest ? textOrAbsent(one.pciID) : undefined]
  ])
}

function ipToJson(one: IpConfig, version: string): Json {
  return jsonObject([
    ['version', isAtLeast(version, '1.0.0') ? undefined : jsonString(String(one.address.address.family))],
    ['interface', numberOrAbsent(one.interface)],
    ['address', jsonString(formatPrefix(one.address))],
    ['gateway', addressOrAbsent(one.gateway)]
  ])
}

function addressOrAbsent(address: IpAddress | undefined): Json | undefined {
  return address === undefined ? undefined : jsonString(formatAddress(address))
}

function routeToJson(one: Route, version: string): Json {
  const newest = isAtLeast(version, '1.1.0')
  return jsonObject([
    ['dst', jsonString(formatPrefix(one.dst))],
    ['gw', addressOrAbsent(one.gw)],
    ['mtu', newest ? numberOrAbsent(one.mtu) : undefined],
    ['advmss', newest ? numberOrAbsent(one.advmss) : undefined],
    ['priority', newest ? numberOrAbsent(one.priority) : undefined],
    ['table', newest ? numberOrAbsent(one.table) : undefined],
    ['scope', newest ? numberOrAbsent(one.scope) : undefined]
  ])
}

function dnsToJson(dns: Dns): Json {
  return jsonObject([
    ['nameservers', listOrAbsent(dns.nameservers.map(jsonString))],
    ['domain', textOrAbsent(dns.domain)],
    ['search', listOrAbsent(dns.search.map(jsonString))],
    ['options', listOrAbsent(dns.options.map(jsonString))]
  ])
}

/** The first address of each family, with the routes of that family. A network without addresses has neither. */
function legacyResult(result: Result, version: string): Json {
  return jsonObject([
    ['cniVersion', jsonString(version)],
    ['ip4', legacyIp(result, version, 4)],
    ['ip6', legacyIp(result, version, 6)],
    ['dns', dnsToJson(result.dns)]
  ])
}

function legacyIp(result: Result, version: string, family: number): Json | undefined {
  const first = result.ips.find(one => one.address.address.family === family)
  if (first === undefined) return undefined
  const routes = result.routes.filter(one => one.dst.address.family === family)
  return jsonObject([
    ['ip', jsonString(formatPrefix(first.address))],
    ['gateway', addressOrAbsent(first.gateway)],
    ['routes', listOrAbsent(routes.map(one => routeToJson(one, version)))]
  ])
}

/**
 * Reads a result of any version.
 *
 * @param fallback the version when the result doesn't name one (libcni strips it from prevResult)
 * @param what names the result in messages, such as `prevResult`
 * @throws CniError code 6, listing everything that is wrong
 */
export function resultFromJson(json: Json, fallback: string, what: string): Result {
  if (json.type !== 'object') {
    throw new CniError(DECODE_FAILURE, `decode ${what}: must be an object, got ${json.type}`)
  }
  const version = resultVersion(json, fallback, what)
  const section = new Section(json, what)
  const result = isAtLeast(version, '0.3.0') ? readResult(section) : readLegacyResult(section)
  const problems = section.problems()
  if (problems.length > 0) throw new CniError(DECODE_FAILURE, `decode ${what}: ${problems.join('; ')}`)
  return result
}

function resultVersion(json: Json, fallback: string, what: string): string {
  const member = memberOf(json, 'cniVersion')
  const version = member !== undefined && member.type === 'string' && member.text !== '' ? member.text : fallback
  if (!isKnownVersion(version)) {
    throw new CniError(
      DECODE_FAILURE,
      `decode ${what}: unknown cniVersion ${JSON.stringify(version)}`,
      `known versions are ${KNOWN_VERSIONS.join(', ')}`
    )
  }
  return version
}

function readResult(section: Section): Result {
  return {
    interfaces: section.sections('interfaces').map(readInterface),
    ips: readIps(section),
    routes: routesOf(section.sections('routes'), foreign),
    dns: readDns(section.section('dns'))
  }
}

function readInterface(section: Section): Interface {
  return {
    name: section.text('name') ?? '',
    mac: presentText(section, 'mac'),
    mtu: unlessZero(foreign(section, 'mtu')),
    sandbox: presentText(section, 'sandbox'),
    socketPath: presentText(section, 'socketPath'),
    pciID: presentText(section, 'pciID')
  }
}

/** Go's encoders write '' and 0 for what isn't there. */
function presentText(section: Section, key: string): string | undefined {
  return unlessEmpty(section.text(key))
}

function unlessZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

/** In somebody else's result a number below 0 means none: several IPAM plugins write -1 for "no interface". */
function foreign(section: Section, key: string): number | undefined {
  const value = section.integer(key, -BIGGEST, BIGGEST)
  return value === undefined || value < 0 ? undefined : value
}

function readIps(result: Section): readonly IpConfig[] {
  const ips: IpConfig[] = []
  for (const section of result.bounded('ips', result.sections('ips'), MOST_ADDRESSES)) {
    const address = requiredPrefix(section, 'address')
    const index = foreign(section, 'interface')
    const gateway = readAddress(section, 'gateway')
    if (address !== undefined) ips.push({ interface: index, address, gateway })
  }
  return ips
}

/** A list of `routes` of a configuration. */
export function readRoutes(sections: readonly Section[]): readonly Route[] {
  return routesOf(sections, (section, key) => section.integer(key, 0, key === 'scope' ? 255 : BIGGEST))
}

type ReadNumber = (section: Section, key: string) => number | undefined

function routesOf(sections: readonly Section[], number: ReadNumber): readonly Route[] {
  const routes: Route[] = []
  for (const section of sections) {
    const dst = requiredPrefix(section, 'dst')
    const gw = readAddress(section, 'gw')
    const mtu = unlessZero(number(section, 'mtu'))
    const advmss = unlessZero(number(section, 'advmss'))
    const priority = unlessZero(number(section, 'priority'))
    const table = number(section, 'table')
    const scope = number(section, 'scope')
    if (dst !== undefined) routes.push({ dst, gw, mtu, advmss, priority, table, scope })
  }
  return routes
}

function requiredPrefix(section: Section, key: string): IpPrefix | undefined {
  const prefix = readPrefix(section, key)
  if (prefix === undefined && (section.text(key) ?? '') === '') section.problem(key, 'is missing')
  return prefix
}

/** The `dns` object of a result or a configuration. */
export function readDns(section: Section | undefined): Dns {
  if (section === undefined) return NO_DNS
  return {
    nameservers: section.textList('nameservers'),
    domain: presentText(section, 'domain'),
    search: section.textList('search'),
    options: section.textList('options')
  }
}

function readLegacyResult(section: Section): Result {
  const ips: IpConfig[] = []
  const routes: Route[] = []
  for (const key of ['ip4', 'ip6']) {
    const part = section.section(key)
    if (part === undefined) continue
    const address = requiredPrefix(part, 'ip')
    const gateway = readAddress(part, 'gateway')
    if (address !== undefined) ips.push({ address, gateway })
    for (const route of routesOf(part.sections('routes'), foreign)) routes.push(route)
  }
  return { interfaces: [], ips, routes, dns: readDns(section.section('dns')) }
}

/**
 * The result as somebody who reads `version` sees it: what an exec'd delegate's answer looks like after it went through
 * its text.
 */
export function asSeenIn(result: Result, version: string): Result {
  if (!isAtLeast(version, '0.3.0')) return resultFromJson(resultToJson(result, version), version, 'result')
  const isNewest = isAtLeast(version, '1.1.0')
  const { dns } = result
  return {
    interfaces: result.interfaces.map(one => interfaceSeen(one, isNewest)),
    ips: result.ips,
    routes: result.routes.map(route => routeSeen(route, isNewest)),
    dns: { ...dns, domain: dns.domain === '' ? undefined : dns.domain }
  }
}

function interfaceSeen({ name, mac, mtu, sandbox, socketPath, pciID }: Interface, isNewest: boolean): Interface {
  return {
    name,
    mac: unlessEmpty(mac),
    mtu: isNewest ? unlessZero(mtu) : undefined,
    sandbox: unlessEmpty(sandbox),
    socketPath: isNewest ? unlessEmpty(socketPath) : undefined,
    pciID: isNewest ? unlessEmpty(pciID) : undefined
  }
}

function routeSeen({ dst, gw, mtu, advmss, priority, table, scope }: Route, isNewest: boolean): Route {
  if (!isNewest) return { dst, gw }
  return {
    dst,
    gw,
    mtu: unlessZero(mtu),
    advmss: unlessZero(advmss),
    priority: unlessZero(priority),
    table,
    scope
  }
}

function unlessEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** The text that a plugin prints. */
export function resultText(result: Result, version: string): string {
  return `${jsonText(resultToJson(result, version), 4)}\n`
}
