/** Texts: JSON and addresses, each beside another reader of the same; results and errors of plugins; lists of networks. */
import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { parseConfig } from '../../agent/config.ts'
import { keyFromValue, keyValue } from '../../agent/encryption/key-record.ts'
import { parseHosts } from '../../agent/file-registry.ts'
import { conflistOf, networkOfConflist } from '../../agent/networks/conflist.ts'
import { type NetworkRecord, recordFromValue, recordToValue } from '../../agent/networks/record.ts'
import { endpointFromValue, hostFromValue, ownerFromValue } from '../../agent/registry-value.ts'
import { parseResolvConf } from '../../ipam/host-local/resolv-conf.ts'
import { CniArgs } from '../../lib/cni/args.ts'
import { errorFromJson } from '../../lib/cni/error.ts'
import { resultFromJson, resultText } from '../../lib/cni/result-json.ts'
import { jsonText, parseJson } from '../../lib/config/json.ts'
import { sha256 } from '../../lib/hash/sha256.ts'
import { sha512Hex } from '../../lib/hash/sha512.ts'
import { formatAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import { formatPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import { parseNetwork } from '../../lib/runtime/network.ts'
import { mutated, type Random } from '../../lib/testing/mutation.ts'
import {
  addressText,
  bytesOf,
  choice,
  jsonValue,
  type Rule,
  repeated,
  sequence,
  sometimesTorn,
  textOf
} from '../grammar.ts'
import { law, reading, type Target } from '../target.ts'

const value = jsonValue(4)

function standard(text: string): { readonly parsed: unknown } | undefined {
  return reading(() => ({ parsed: JSON.parse(text) }), ['SyntaxError'])
}

/** What JSON.parse read with U+FFFD in place of half characters, which UTF-8 cannot hold. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), wellFormed(member)]))
}

/** Ours takes what JSON.parse takes, and no more; and prints what it has read. */
export const json: Target = {
  name: 'json',
  make: sometimesTorn(value),
  judge: input => {
    const text = textOf(input)
    const ours = reading(() => parseJson(text), ['JsonError'])
    const theirs = standard(text)
    law(
      (ours === undefined) === (theirs === undefined),
      () => `${ours === undefined ? 'refused' : 'taken'}, unlike JSON.parse`
    )
    if (ours === undefined || theirs === undefined) return
    const wanted = wellFormed(theirs.parsed)
    for (const printed of [jsonText(ours), jsonText(ours, 2)]) {
      law(isDeepStrictEqual(wellFormed(JSON.parse(printed)), wanted), () => `printed as ${printed}`)
    }
  }
}

/** As Node has it; an IPv4 address written as one of `::ffff:0:0/96` counts as that address, as it does in Go. */
function familyOf(text: string): number | undefined {
  if (isIPv4(text)) return 4
  if (!isIPv6(text) || text.includes('%')) return undefined
  return /^\[::ffff:[0-9a-f]+:[0-9a-f]+\]$/.test(new URL(`http://[${text}]/`).hostname) ? 4 : 6
}

/** Ours takes what Node's reader takes, but for zones; and what it prints is read as the same. */
export const address: Target = {
  name: 'address',
  make: sometimesTorn(addressText),
  judge: input => {
    const text = textOf(input)
    const ours = parseAddress(text)
    const family = familyOf(text)
    law(ours?.family === family, () => `family ${ours?.family}, for Node it is ${family}`)
    if (ours === undefined) return
    const printed = formatAddress(ours)
    const again = parseAddress(printed)
    law(again !== undefined && isDeepStrictEqual(again, ours), () => `printed as ${printed}`)
    if (family === 6) {
      const host = new URL(`http://[${text}]/`).hostname.slice(1, -1)
      law(isDeepStrictEqual(parseAddress(host), ours), () => `a URL has ${host}`)
    }
  }
}

const macPart = choice('00', 'ff', 'FF', '02', '5a', '0', '100', 'gg', '')

export const prefix: Target = {
  name: 'prefix',
  make: sometimesTorn(
    choice(
      sequence(addressText, '/', choice('0', '8', '24', '32', '33', '64', '128', '129', '-1', '08', '', ' 8', '1e1')),
      repeated(macPart, 7, ':'),
      sequence(macPart, ':', macPart, ':', macPart, ':', macPart, ':', macPart, ':', macPart)
    )
  ),
  judge: input => {
    const text = textOf(input)
    const ours = parsePrefix(text)
    const again = ours === undefined ? undefined : parsePrefix(formatPrefix(ours))
    law(isDeepStrictEqual(again, ours), () => 'a prefix printed is another one')
    const [head = '', tail = ''] = text.split('/')
    if (ours !== undefined) law(parseAddress(head) !== undefined && /^[0-9]{1,3}$/.test(tail), () => 'no prefix')
    const mac = parseMac(text)
    law(
      isDeepStrictEqual(mac === undefined ? undefined : parseMac(formatMac(mac)), mac),
      () => 'a MAC printed is another one'
    )
  }
}

export const hash: Target = {
  name: 'hash',
  make: sometimesTorn(repeated(choice('a', 'é', '0123456789', '\u{1f600}', 'x'.repeat(50)), 8)),
  judge: input => {
    const text = textOf(input)
    const digest = (algorithm: string) => createHash(algorithm).update(text).digest('hex')
    law(Buffer.from(sha256(text)).toString('hex') === digest('sha256'), () => 'another SHA-256')
    law(sha512Hex(text) === digest('sha512'), () => 'another SHA-512')
  }
}

const RESULT = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: '/run/netns/x', socketPath: '', pciID: '' }
  ],
  ips: [{ interface: 0, address: '10.1.2.3/24', gateway: '10.1.2.1' }, { address: 'fd00::2/64' }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1', mtu: 1400, advmss: 1360, priority: 5, table: 100, scope: 0 }],
  dns: { nameservers: ['1.1.1.1'], domain: 'a', search: ['b'], options: ['c'] }
}
const LEGACY = { cniVersion: '0.2.0', ip4: { ip: '10.1.2.3/24', gateway: '10.1.2.1', routes: [{ dst: '::/0' }] } }
const FAILURE = { cniVersion: '1.0.0', code: 7, msg: 'text', details: 'more' }
const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** What other plugins print: a result that was taken is printed in every version, and read again. */
export const result: Target = {
  name: 'result',
  make: random => mutated(random.pick([RESULT, RESULT, LEGACY, FAILURE]), random.below(5), random),
  judge: input => {
    const parsed = reading(() => parseJson(textOf(input)), ['JsonError'])
    if (parsed === undefined) return
    errorFromJson(parsed)
    const taken = reading(() => resultFromJson(parsed, '1.1.0', 'prevResult'), ['CniError'])
    if (taken === undefined) return
    for (const version of VERSIONS) {
      const text = reading(() => resultText(taken, version), ['CniError'])
      if (text !== undefined) resultFromJson(parseJson(text), version, 'result')
    }
    const once = resultText(taken, '1.1.0')
    const again = resultText(resultFromJson(parseJson(once), '1.1.0', 'result'), '1.1.0')
    law(once === again, () => `printed as ${once}, then as ${again}`)
  }
}

const NETWORK = {
  cniVersion: '1.0.0',
  name: 'n',
  disableCheck: false,
  plugins: [{ type: 'bridge', ipam: { type: 'static' } }]
}
const AGENT = {
  host: 'a',
  underlay: { interface: 'eth0' },
  etcd: { endpoints: ['https://127.0.0.1:2379'] },
  hosts: ['10.0.0.1']
}
const HOSTS = { hosts: ['10.0.0.1', 'fd00::1'], networks: { 42: ['10.0.0.2'] } }
const ENDPOINT = { mac: '02:00:00:00:00:01', ips: ['10.1.2.3', 'fd00::3'], vtep: '192.0.2.1' }
const OWNER = { host: 'a', network: 'n', containerId: 'c', ifName: 'eth0', lease: '1234' }

const KEY = { key: 'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=', address: 'fd00::1', endpoint: '192.0.2.1:51830' }
const RECORD = {
  id: 'ab'.repeat(32),
  vni: 70_001,
  created: '2026-11-27T08:00:00.000Z',
  ranges: [
    { subnet: '10.42.0.0/24', gateway: '10.42.0.1', rangeStart: '10.42.0.8', rangeEnd: '10.42.0.9', exclude: [] }
  ],
  mtu: 1400,
  labels: { tier: 'front' }
}
const PLACES = { socket: '/s', stateDir: '/t', underlay: { dev: '', local: '' } }
const MARKED = conflistOf({ record: recordOf('n', JSON.stringify(RECORD)), revision: 7 }, PLACES)

function recordOf(name: string, value: string): NetworkRecord {
  const record = recordFromValue(name, value)
  if (typeof record === 'string') throw new Error(record)
  return record
}

/** A host's key that can be read stays as it is. */
function judgeKey(text: string): void {
  const record = keyFromValue(text)
  if (record === undefined) return
  const printed = keyValue(record)
  const again = keyFromValue(printed)
  law(again !== undefined && keyValue(again) === printed, () => `printed as ${printed}`)
}

/** A network of the cluster that is believed is written as it was read, and the file that is made of it is known again. */
function judgeRecord(text: string): void {
  networkOfConflist(text)
  const record = recordFromValue('n', text)
  if (typeof record === 'string') return
  const value = recordToValue(record)
  law(recordToValue(recordOf('n', value)) === value, () => `written as ${value}, and not read so again`)
  const file = conflistOf({ record, revision: 7 }, PLACES)
  const known = networkOfConflist(file)
  law(known !== undefined && recordToValue(known.record) === value, () => `not known again: ${file}`)
  law(parseNetwork(file).name === 'n', () => `no network: ${file}`)
}

/** Files and values that administrators and other hosts write. */
export const documents: Target = {
  name: 'documents',
  make: random => {
    const known = [NETWORK, AGENT, HOSTS, ENDPOINT, OWNER, KEY, RECORD, JSON.parse(MARKED)]
    return mutated(random.pick(known), random.below(5), random)
  },
  judge: input => {
    const text = textOf(input)
    reading(() => parseNetwork(text), ['NetworkError'])
    reading(() => parseConfig(text), ['ConfigError', 'JsonError'])
    reading(() => parseHosts(text), ['Error', 'SyntaxError'])
    endpointFromValue(text, 4)
    ownerFromValue(text)
    hostFromValue(text)
    judgeRecord(text)
    judgeKey(text)
  }
}

const word: Rule = choice('IgnoreUnknown', 'IP', 'MAC', 'K8S_POD_NAME', 'é', '', ' ')
const line: Rule = choice(
  sequence(word, choice('=', '', '=='), choice(addressText, '1', 'TRUE', '', '\u017f'), choice(';', ';;', '')),
  sequence(
    choice('nameserver', 'search', 'domain', 'options', '#', ';', ' nameserver'),
    choice(' ', '\t', ''),
    addressText,
    '\n'
  )
)

/** CNI_ARGS and resolv.conf. */
export const lines: Target = {
  name: 'lines',
  make: (random: Random) => bytesOf(repeated(line, 8)(random)),
  judge: input => {
    const text = textOf(input)
    parseResolvConf(text)
    reading(() => new CniArgs(text), ['CniError'])
  }
}
