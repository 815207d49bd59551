/**
 * What a network's configuration wants of a lease: which options to ask the server for, which to give it.
 *
 *     "ipam": { "type": "dhcp", "request": [{ "option": "ntp" }], "provide": [{ "option": "host-name", "fromArg": "K8S_POD_NAME" }] }
 */
import { createHash } from 'node:crypto'
import { type Json, jsonObject } from '../lib/config/json.ts'
import { Section } from '../lib/config/section.ts'
import {
  CLASSLESS_ROUTES,
  CLIENT_ID,
  DNS_SERVERS,
  DOMAIN_NAME,
  DOMAIN_SEARCH,
  END,
  HOST_NAME,
  LEASE_TIME,
  MESSAGE_TYPE,
  OVERLOAD,
  PARAMETER_LIST,
  REQUESTED_ADDRESS,
  ROUTERS,
  SERVER_ID,
  STATIC_ROUTES,
  SUBNET_MASK,
  USER_CLASS,
  VENDOR_CLASS
} from './message.ts'

export interface OptionsConfig {
  /** Option codes, in the order to ask in. */
  readonly request: readonly number[]
  /** Values for the server. */
  readonly provide: ReadonlyMap<number, Uint8Array>
  /** The metric of all routes; absent = the kernel's. */
  readonly priority: number | undefined
  /** For how many milliseconds the link is asked who has an address, before it is used; 0 = not at all. */
  readonly probe: number
}

/** All of `ipam` that the daemon reads. */
export interface IpamConfig extends OptionsConfig {
  /** Which versions of the protocol to get an address by, in ascending order. */
  readonly families: readonly Family[]
}

export type Family = 4 | 6

/** RFC 5227 takes seven seconds, in which a container could not start; who is there answers within milliseconds. */
export const DEFAULT_PROBE = 300

const NAMES: ReadonlyMap<string, number> = new Map([
  ['dhcp-client-identifier', CLIENT_ID],
  ['subnet-mask', SUBNET_MASK],
  ['routers', ROUTERS],
  ['host-name', HOST_NAME],
  ['user-class', USER_CLASS],
  ['vendor-class-identifier', VENDOR_CLASS]
])

/** RFC 3442: classless routes are asked for before routers and static routes. */
const DEFAULT_REQUEST: readonly number[] = [
  SUBNET_MASK,
  CLASSLESS_ROUTES,
  ROUTERS,
  STATIC_ROUTES,
  DNS_SERVERS,
  DOMAIN_NAME,
  DOMAIN_SEARCH
]

/** What the exchange itself is made of: a value from outside would break it. */
const OWN: readonly number[] = [
  0,
  REQUESTED_ADDRESS,
  LEASE_TIME,
  OVERLOAD,
  MESSAGE_TYPE,
  SERVER_ID,
  PARAMETER_LIST,
  END
]

const LONGEST_VALUE = 255
/** RFC 2132 section 9.14: the value has 255 bytes, of which one is the kind. */
const LONGEST_CLIENT_ID = 254

/**
 * Reads `ipam`.
 *
 * @param args CNI_ARGS, for `fromArg`
 * @throws {ConfigError} that lists everything wrong
 */
export function readOptionsConfig(ipam: Json, args: string): IpamConfig {
  const config = new Section(jsonObject([['ipam', ipam]]))
  const section = config.section('ipam')
  const read: IpamConfig = {
    request: section === undefined ? [] : readRequest(section),
    provide: section === undefined ? new Map() : readProvide(section, pairsOf(args)),
    priority: section?.integer('priority', 0, 4_294_967_295),
    probe: section?.integer('probe', 0, 10_000) ?? DEFAULT_PROBE,
    families: section === undefined ? [4] : readFamilies(section)
  }
  config.finish()
  return read
}

function readFamilies(ipam: Section): readonly Family[] {
  const names = ipam.textList('families')
  if (names.some(name => name !== 'ipv4' && name !== 'ipv6')) {
    ipam.problem('families', 'must hold "ipv4", "ipv6" or both')
  }
  const families: Family[] = []
  if (names.length === 0 || names.includes('ipv4')) families.push(4)
  if (names.includes('ipv6')) families.push(6)
  return families
}

function readRequest(ipam: Section): readonly number[] {
  let codes = [...DEFAULT_REQUEST]
  const more: number[] = []
  for (const one of ipam.sections('request')) {
    if (one.boolean('skipDefault', false)) codes = []
    const code = readCode(one)
    if (code !== undefined) more.push(code)
  }
  return [...new Set([...codes, ...more])]
}

/** The last of several for one option wins, and an argument of the call over a fixed value. */
function readProvide(ipam: Section, args: ReadonlyMap<string, string>): ReadonlyMap<number, Uint8Array> {
  const provide = new Map<number, Uint8Array>()
  for (const one of ipam.sections('provide')) {
    const code = readCode(one)
    const fixed = one.text('value') ?? ''
    const key = one.text('fromArg') ?? ''
    const given = key === '' ? '' : (args.get(key) ?? '')
    const bytes = new TextEncoder().encode(given === '' ? fixed : given)
    if (bytes.length > LONGEST_VALUE) one.problem(given === '' ? 'value' : 'fromArg', 'must give 255 bytes at most')
    if (code === undefined) {
      if (!one.has('option')) one.problem('option', 'is required')
    } else if (OWN.includes(code)) one.problem('option', 'must not be one that the exchange itself is made of')
    else if (bytes.length > 0) provide.set(code, bytes)
  }
  return provide
}

/** A name, or a number written as such or as a string. */
function readCode(section: Section): number | undefined {
  const json = section.json('option')
  if (json === undefined || json.text === '') return undefined
  const isText = json.type === 'string' || json.type === 'number'
  const code = isText ? (NAMES.get(json.text) ?? (/^[0-9]{1,3}$/.test(json.text) ? Number(json.text) : -1)) : -1
  if (code >= 0 && code <= 255) return code
  section.problem('option', `must be a number from 0 to 255 or one of ${[...NAMES.keys()].join(', ')}`)
  return undefined
}

function pairsOf(args: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  for (const pair of args.split(';')) {
    const at = pair.indexOf('=')
    if (at > 0) pairs.set(pair.slice(0, at), pair.slice(at + 1))
  }
  return pairs
}

/**
 * Who asks, as the reference plugin says it: a server goes on giving the same address when plugins are exchanged. Names that
 * are too long are hashed: cut, two interfaces of one container would be one client.
 */
export function clientIdOf(containerId: string, network: string, ifName: string): Uint8Array {
  const names = `${containerId}/${network}/${ifName}`
  const text = new TextEncoder().encode(names)
  const short = text.length <= LONGEST_CLIENT_ID ? text : createHash('sha256').update(names).digest()
  // Kind 0: no hardware address. RFC 2132 section 9.14
  return new Uint8Array([0, ...short])
}
