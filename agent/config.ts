/** The agent's configuration file: every key and its default. */
import { hostname } from 'node:os'
import { ifNameFault } from '../lib/cni/env.ts'
import { readAddress } from '../lib/config/addresses.ts'
import { jsonObject, parseJson } from '../lib/config/json.ts'
import { Section } from '../lib/config/section.ts'
import { formatAddress } from '../lib/ip/address.ts'
import { DEFAULT_SOCKET } from '../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR } from '../lib/state/journal.ts'
import { type EncryptionConfig, readEncryption } from './encryption/config.ts'

export const DEFAULT_CONFIG = '/etc/patchbay/agent.json'

const EMPTY = jsonObject([])

/** The registry where the configuration names none, if it is there: without it the agent is one host's alone. */
export const DEFAULT_FILE = '/etc/patchbay/hosts.json'

/** What is longer is an alternative name. */
const LONGEST_FIRST_NAME = 15

interface EtcdConfig {
  readonly endpoints: readonly string[]
  readonly prefix: string
  /** Paths of PEM files, '' = none */
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly username: string
  /** A file, so that the password is in no configuration that others read. */
  readonly passwordFile: string
  readonly leaseSeconds: number
  readonly addressLeaseSeconds: number
}

export interface AgentConfig {
  /** This host's name in the registry. */
  readonly host: string
  readonly socket: string
  readonly stateDir: string
  /** The plugins' `stateDir`. */
  readonly pluginStateDir: string
  /** Where runtimes look for networks. */
  readonly confDir: string
  /** Where an agent that is alone keeps its networks. */
  readonly registryDir: string
  /** What carries the tunnels of networks that are made by command; '' = chosen. */
  readonly underlay: { readonly dev: string; readonly local: string }
  /** `unix:PATH` or `HOST:PORT`; '' = no HTTP */
  readonly http: string
  readonly compareSeconds: number
  readonly etcd: EtcdConfig | undefined
  /** The registry's file, '' when it is etcd. */
  readonly file: string
  readonly encryption: EncryptionConfig
}

/** @throws {ConfigError} naming every key that is wrong, {JsonError} */
export function parseConfig(text: string): AgentConfig {
  const config = new Section(parseJson(text))
  const etcd = config.section('etcd')
  const read: AgentConfig = {
    host: textOr(config, 'host', hostname()),
    socket: textOr(config, 'socket', DEFAULT_SOCKET),
    stateDir: textOr(config, 'stateDir', '/run/patchbay/agent'),
    pluginStateDir: textOr(config, 'pluginStateDir', DEFAULT_STATE_DIR),
    confDir: textOr(config, 'confDir', '/etc/cni/net.d'),
    registryDir: textOr(config, 'registryDir', '/var/lib/patchbay/registry'),
    underlay: readUnderlay(config.section('underlay')),
    http: textOr(config, 'http', ''),
    compareSeconds: config.integer('compareSeconds', 1, 3600) ?? 15,
    etcd: etcd === undefined ? undefined : readEtcd(etcd),
    file: textOr(config, 'file', etcd === undefined ? DEFAULT_FILE : ''),
    encryption: readEncryption(config.section('encryption') ?? new Section(EMPTY))
  }
  if (!/^[^\s/:]+$/.test(read.host)) config.problem('host', 'must be a name without "/", ":" and blanks')
  for (const [key, path] of Object.entries({ confDir: read.confDir, registryDir: read.registryDir }))
    if (!path.startsWith('/')) config.problem(key, 'must be an absolute path')
  if (read.etcd !== undefined && read.file !== '') config.problem('etcd', 'and "file" exclude each other')
  if (read.http !== '' && !/^(?:unix:\/.+|(?:127\.[0-9.]+|localhost|\[::1\]):[0-9]+)$/.test(read.http)) {
    config.problem('http', 'must be "unix:/PATH" or a port of the loopback, as in "127.0.0.1:9469"')
  }
  config.finish()
  return read
}

/** As the keys of the same names of the plugin vxlan. */
function readUnderlay(underlay: Section | undefined): AgentConfig['underlay'] {
  if (underlay === undefined) return { dev: '', local: '' }
  const dev = textOr(underlay, 'dev', '')
  const fault = dev === '' || dev.length > LONGEST_FIRST_NAME ? '' : ifNameFault(dev)
  if (fault !== '') underlay.problem('dev', `must be an interface name, which ${fault}`)
  const local = readAddress(underlay, 'local')
  return { dev, local: local === undefined ? '' : formatAddress(local) }
}

function readEtcd(etcd: Section): EtcdConfig {
  const endpoints = etcd.textList('endpoints')
  if (endpoints.length === 0 || !endpoints.every(one => /^https?:\/\/[^/]+$/.test(one))) {
    etcd.problem('endpoints', 'must be a list of URLs, as in ["https://10.0.0.1:2379"]')
  }
  const prefix = textOr(etcd, 'prefix', '/patchbay')
  if (!/^\/.*[^/]$/.test(prefix)) etcd.problem('prefix', 'must begin with "/" and not end so')
  const leaseSeconds = etcd.integer('leaseSeconds', 2, 3600) ?? 15
  const read: EtcdConfig = {
    endpoints,
    prefix,
    ca: textOr(etcd, 'ca', ''),
    cert: textOr(etcd, 'cert', ''),
    key: textOr(etcd, 'key', ''),
    username: textOr(etcd, 'username', ''),
    passwordFile: textOr(etcd, 'passwordFile', ''),
    leaseSeconds,
    addressLeaseSeconds: etcd.integer('addressLeaseSeconds', 2, 86_400) ?? Math.max(300, leaseSeconds)
  }
  if ((read.cert === '') !== (read.key === '')) etcd.problem('cert', 'and "key" need each other')
  if ((read.username === '') !== (read.passwordFile === ''))
    etcd.problem('username', 'and "passwordFile" need each other')
  return read
}

function textOr(section: Section, key: string, fallback: string): string {
  const text = section.text(key) ?? ''
  return text === '' ? fallback : text
}
