/** The section `encryption` of the agent's configuration. */
import { readPrefix } from '../../lib/config/addresses.ts'
import type { Section } from '../../lib/config/section.ts'
import { isLinkLocal, isLoopback, isMulticast } from '../../lib/ip/address.ts'
import { type IpPrefix, networkOf, parsePrefix } from '../../lib/ip/prefix.ts'

export interface EncryptionConfig {
  /** Of the private key and the known hosts; on disk, because a host keeps its identity over a reboot. */
  readonly directory: string
  /** UDP */
  readonly port: number
  /** Each host's address in the carrier comes out of it. The same on every host. */
  readonly range: IpPrefix
  /** seconds; 0 = none */
  readonly keepaliveSeconds: number
  /** The first key that a host presents is believed; otherwise an operator has to say so for each host. */
  readonly trustFirst: boolean
}

/** Not one that a host usually has for something else: 51820 is wg-quick's, flannel's and Calico's, 51871 Cilium's. */
const PORT = 51_830
/** The carrier is a namespace of its own: whatever the range is, it clashes with nothing. */
const RANGE = 'fd00::/8'
/** Enough that hosts do not often come out at one address; those that do are told. */
const LEAST_HOST_BITS = 16

export function readEncryption(section: Section): EncryptionConfig {
  const directory = textOr(section, 'directory', '/var/lib/patchbay/encryption')
  if (!directory.startsWith('/')) section.problem('directory', 'must be an absolute path')
  return {
    directory,
    port: section.integer('port', 1, 65_535) ?? PORT,
    range: readRange(section),
    keepaliveSeconds: section.integer('keepaliveSeconds', 0, 65_535) ?? 0,
    trustFirst: section.boolean('trustFirst', true)
  }
}

function readRange(section: Section): IpPrefix {
  const fallback = parsePrefix(RANGE)
  const given = readPrefix(section, 'range') ?? fallback
  if (given === undefined) throw new Error(`${RANGE} is no prefix`)
  const range = networkOf(given)
  const { address, length } = range
  if (address.bytes.length * 8 - length < LEAST_HOST_BITS) {
    section.problem('range', `must leave ${LEAST_HOST_BITS} bits for the hosts, as in "10.0.0.0/8"`)
  }
  if (isMulticast(address) || isLoopback(address) || isLinkLocal(address)) {
    section.problem('range', 'must be of ordinary addresses')
  }
  return range
}

function textOr(section: Section, key: string, fallback: string): string {
  const text = section.text(key) ?? ''
  return text === '' ? fallback : text
}
