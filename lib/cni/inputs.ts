/**
 * What a caller can ask for per attachment, in three places of rising precedence: CNI_ARGS, `args.cni`, `runtimeConfig`.
 * @source CNI CONVENTIONS.md
 */
import { readMac } from '../config/addresses.ts'
import type { Section } from '../config/section.ts'
import { addressesEqual, type IpAddress, parseAddress } from '../ip/address.ts'
import { isUnicastMac, parseMac } from '../ip/mac.ts'
import { parsePrefix } from '../ip/prefix.ts'
import { CniError, INVALID_CONFIG, INVALID_ENVIRONMENT } from './error.ts'
import type { Request } from './plugin.ts'
import { MOST_ADDRESSES, type Result } from './result.ts'

/** `args.cni`, when the caller gave it. */
export function cniArgsSection(config: Section): Section | undefined {
  return config.section('args')?.section('cni')
}

/** `runtimeConfig`, when the caller gave it. */
export function runtimeConfig(config: Section): Section | undefined {
  return config.section('runtimeConfig')
}

/**
 * The MAC that the caller wants for the container's interface.
 * @throws CniError code 4 for a wrong one in CNI_ARGS; one in the configuration is a problem of `config`
 */
export function requestedMac(request: Request): Uint8Array | undefined {
  const runtime = runtimeConfig(request.config)
  const conventional = cniArgsSection(request.config)
  const fromRuntime = runtime === undefined ? undefined : readMac(runtime, 'mac')
  const fromArgs = conventional === undefined ? undefined : readMac(conventional, 'mac')
  return fromRuntime ?? fromArgs ?? macOfVariable(request)
}

function macOfVariable(request: Request): Uint8Array | undefined {
  const text = request.args.get('MAC')
  if (text === undefined) return undefined
  const mac = parseMac(text)
  if (mac === undefined) throw badArgument('MAC', 'a MAC address of six bytes', text)
  if (!isUnicastMac(mac)) throw badArgument('MAC', 'a unicast MAC address', text)
  return mac
}

/** An address that the caller wants. `length` is there when it was given as a prefix. */
export interface RequestedAddress {
  readonly address: IpAddress
  readonly length: number | undefined
}

/**
 * The addresses that the caller wants, in the order given. Precedence is judged per family, because one caller uses two
 * places at once: nerdctl passes its --ip in CNI_ARGS and its --ip6 in runtimeConfig.ips.
 * @throws CniError code 4 for a wrong one in CNI_ARGS; one in the configuration is a problem of `config`
 */
export function requestedAddresses(request: Request): readonly RequestedAddress[] {
  const asked: RequestedAddress[] = []
  addMissingFamilies(asked, addressesOf(runtimeConfig(request.config)))
  addMissingFamilies(asked, addressesOf(cniArgsSection(request.config)))
  addMissingFamilies(asked, addressesOfVariable(request))
  return asked
}

/**
 * The addresses that the caller wants, each once, from all three places: what host-local gives, because one address is
 * chosen from every range set and each place may speak of another set.
 * @throws CniError as requestedAddresses
 */
export function everyRequestedAddress(request: Request): readonly IpAddress[] {
  const all: IpAddress[] = []
  const variable = addressesOfVariable(request)
  const conventional = addressesOf(cniArgsSection(request.config))
  for (const { address } of variable.concat(conventional, addressesOf(runtimeConfig(request.config)))) {
    if (!all.some(other => addressesEqual(other, address))) all.push(address)
  }
  return all
}

function addMissingFamilies(asked: RequestedAddress[], more: readonly RequestedAddress[]): void {
  const has4 = asked.some(one => one.address.family === 4)
  const has6 = asked.some(one => one.address.family === 6)
  for (const one of more) if (one.address.family === 4 ? !has4 : !has6) asked.push(one)
}

function addressesOf(section: Section | undefined): readonly RequestedAddress[] {
  const found: RequestedAddress[] = []
  if (section === undefined) return found
  for (const text of section.bounded('ips', section.textList('ips'), MOST_ADDRESSES)) {
    if (text === '') continue
    const one = parseRequested(text)
    if (one === undefined) section.problem('ips', `must hold addresses, with or without prefix length`)
    else found.push(one)
  }
  return found
}

function addressesOfVariable(request: Request): readonly RequestedAddress[] {
  const found: RequestedAddress[] = []
  for (const part of (request.args.get('IP') ?? '').split(',')) {
    const text = part.trim()
    if (text === '') continue
    const one = parseRequested(text)
    if (one === undefined) throw badArgument('IP', 'addresses separated by ","', text)
    found.push(one)
  }
  return found
}

function parseRequested(text: string): RequestedAddress | undefined {
  const address = parseAddress(text)
  if (address !== undefined) return { address, length: undefined }
  const prefix = parsePrefix(text)
  return prefix === undefined ? undefined : { address: prefix.address, length: prefix.length }
}

function badArgument(key: string, expectation: string, text: string): CniError {
  const message = `read CNI_ARGS: ${key} must be ${expectation}, got ${JSON.stringify(text)}`
  return new CniError(INVALID_ENVIRONMENT, message, `correct ${key} or leave it out`)
}

/**
 * The result that the runtime passed along.
 * @throws CniError code 7 when it passed none
 */
export function requiredPrevResult(request: Request): Result {
  if (request.prevResult !== undefined) return request.prevResult
  const message = `read prevResult: missing in the configuration of ${JSON.stringify(request.network)}`
  throw new CniError(INVALID_CONFIG, message, `pass the result of ADD to ${request.command}`)
}
