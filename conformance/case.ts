/** What a case is, and what it is given to work with. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, type JsonObject } from './json.ts'
import type { Netns } from './netns.ts'
import {
  callPlugin,
  describeOutcome,
  type Environment,
  type Outcome,
  printed,
  shellLine,
  succeeded
} from './plugin-call.ts'
import type { Profile, Role } from './profiles.ts'
import { type ResultParts, resultIn } from './result-form.ts'
import type { Answer, ScriptedPlugin } from './scripted-plugin.ts'
import type { Subject } from './subject.ts'
import { atLeast, VERSIONS, type Version } from './versions.ts'
import type { World } from './world.ts'

export const PARTS = ['protocol', 'behaviour', 'endurance', 'hostile'] as const

export type Part = (typeof PARTS)[number]

export interface Case {
  /** Words with hyphens, the topic first: `del-without-prev-result`. */
  readonly id: string
  readonly title: string
  readonly part: Part
  /** Ids of the clauses that it judges. */
  readonly clauses: readonly string[]
  /** Plugins that it is for: by role, or by name. */
  readonly roles?: readonly Role[]
  readonly plugins?: readonly string[]
  /** The oldest version of the specification that a plugin must support for the case to make sense. */
  readonly since?: Version
  /** Further conditions on the plugin. */
  readonly when?: (profile: Profile) => boolean
  /** More than the usual minute. */
  readonly seconds?: number
  readonly run: (context: Context) => void
}

/** One clause found broken. */
export interface Finding {
  readonly clause: string
  readonly expected: string
  readonly seen: string
  /** The last call before it was seen, as a line for a shell. */
  readonly call: string
  /** Why it is let pass, and until when. */
  readonly waived?: string
}

/** Thrown by a case that cannot be run here; says what is lacking. */
export class NotTestable extends Error {}

/** Thrown when a case cannot go on: the plugin failed where everything depends on success. */
export class Blocked extends Error {}

/** Thrown when a call did not end in time. */
export class Hung extends Error {}

/** One container on the network, as the judge sees it. */
export interface Attachment {
  readonly containerId: string
  readonly ifName: string
  readonly netns: Netns
  /** What IPAM will answer (interface plugins), or what earlier plugins made (chained plugins). */
  readonly parts: ResultParts
  /** Keys that differ from container to container because they can be had only once: a host port, a VLAN tag. */
  readonly keys: JsonObject
  /** What ADD printed. */
  result: JsonObject | undefined
}

export interface CallOptions {
  readonly version?: Version
  /** Keys on top of the usual configuration; undefined takes a key away. */
  readonly config?: JsonObject
  /** Variables on top of the usual ones; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Instead of the usual prevResult. */
  readonly prevResult?: JsonObject | undefined
  readonly noPrevResult?: boolean
  /** Instead of the configuration. */
  readonly stdin?: string | Uint8Array
  readonly wrapper?: readonly string[]
  readonly timeoutMs?: number
  /** The scripted IPAM plugin's answer was set by the case. */
  readonly keepAnswer?: boolean
}

/** The n-th attachment of a case, and whether its container has one already. */
interface Which {
  readonly n: number
  readonly isSecond: boolean
}

const NETWORK = 'judgenet'
const IPAM_NAME = 'judge-ipam'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What each plugin answered to VERSION: asked once per process. */
const versionsOf = new Map<string, readonly Version[]>()

/**
 * Container IDs as runtimes make them: 64 characters, which differ in the last ones. A plugin that cuts them takes one
 * container for another.
 */
function longId(n: number): string {
  const end = `-${n}`
  return `judge-box-${'0f1e2d3c'.repeat(7)}`.slice(0, 64 - end.length) + end
}

export class Context {
  readonly world: World
  readonly profile: Profile
  /** The directory under judgement. */
  readonly dir: string
  readonly ipam: ScriptedPlugin
  /** A number that random cases draw from; printed with their findings. */
  readonly seed: number
  /** How often repetitive cases repeat, as a fraction of the full number. */
  readonly effort: number
  readonly findings: Finding[] = []
  readonly judged = new Set<string>()
  #last: Outcome | undefined
  #attachments = 0

  readonly #bound: Version | undefined

  constructor(world: World, subject: Subject) {
    this.world = world
    this.profile = subject.profile
    this.dir = subject.dir
    this.seed = subject.seed
    this.effort = subject.effort
    this.#bound = subject.bound
    this.ipam = world.scripted(IPAM_NAME)
    this.profile.prepare?.(world)
    this.#shell('prepare', this.profile.prepareCommands)
  }

  /** What the profile wants done when the case is over. */
  cleanUp(): void {
    this.#shell('cleanup', this.profile.cleanupCommands)
  }

  #shell(what: string, commands: readonly string[] | undefined): void {
    for (const command of commands ?? []) {
      const done = this.world.shell(command, { PLUGIN_DIR: this.dir, WORLD: this.world.folder })
      if (done !== undefined) throw new NotTestable(`${what} of ${this.profile.type}: ${command}: ${done}`)
    }
  }

  get path(): string {
    return join(this.dir, this.profile.type)
  }

  has(plugin: string): boolean {
    return existsSync(join(this.dir, plugin))
  }

  /** Says whether a clause holds. Not holding does not end the case. */
  judge(clause: string, holds: boolean, expected: string, seen: () => string): boolean {
    this.judged.add(clause)
    if (!holds) {
      const call = this.#last === undefined ? '' : shellLine(this.#last.call)
      this.findings.push({ clause, expected, seen: seen(), call })
    }
    return holds
  }

  /** Judges a clause by the outcome of a call. */
  judgeOutcome(clause: string, holds: boolean, expected: string, outcome: Outcome): boolean {
    return this.judge(clause, holds, expected, () => describeOutcome(outcome))
  }

  /** The versions that the plugin says it supports and is judged in, oldest first. */
  versions(): readonly Version[] {
    const bound = this.#bound ?? '1.1.0'
    // Chains, and with them prevResult, came with 0.3.0: before, the text has no place for such a plugin.
    const first = this.profile.role === 'chained' ? '0.3.0' : '0.1.0'
    const all = this.listedVersions()
    const judged = all.filter(version => atLeast(bound, version) && atLeast(version, first))
    return judged.length > 0 ? judged : all.slice(0, 1)
  }

  /** All that the plugin says it supports. */
  listedVersions(): readonly Version[] {
    const known = versionsOf.get(this.path)
    if (known !== undefined) return known
    const env = { PATH, CNI_COMMAND: 'VERSION', CNI_PATH: this.cniPath() }
    const reply = printed(callPlugin({ path: this.path, env, stdin: '{"cniVersion":"1.1.0"}' }))
    const listed = reply?.['supportedVersions']
    const found = Array.isArray(listed) ? VERSIONS.filter(version => listed.includes(version)) : []
    // One that doesn't answer VERSION is taken for what most plugins of that time were.
    const versions: readonly Version[] = found.length > 0 ? found : ['0.4.0']
    versionsOf.set(this.path, versions)
    return versions
  }

  newest(): Version {
    return this.versions().at(-1) ?? '0.4.0'
  }

  supports(version: Version): boolean {
    return atLeast(this.newest(), version)
  }

  cniPath(): string {
    return `${this.world.scriptDir}:${this.dir}`
  }

  /** A container that is ready to be added: for chained plugins with an interface made by hand. */
  attachment(
    more: { readonly netns?: Netns; readonly ifName?: string; readonly containerId?: string } = {}
  ): Attachment {
    const n = this.#attachments
    this.#attachments += 1
    const netns = more.netns ?? this.world.newContainer()
    const ifName = more.ifName ?? (this.profile.role === 'loopback' ? 'lo' : 'eth0')
    const containerId = more.containerId ?? longId(n)
    const isSecond = more.netns !== undefined
    const parts = this.#parts(netns, ifName, { n, isSecond })
    const keys = this.profile.ownKeys?.(n) ?? (n === 0 ? {} : this.profile.second) ?? {}
    return { containerId, ifName, netns, parts, keys, result: undefined }
  }

  #parts(netns: Netns, ifName: string, which: Which): ResultParts {
    const { role } = this.profile
    if (role === 'chained') return this.#wire(netns, ifName, which)
    // Whom a meta plugin asks for addresses is its own business.
    return role === 'meta' ? { interfaces: [], ips: [], routes: [], dns: {} } : addresses(which.n)
  }

  /** What a bridge plugin before this one would have made. The way out stays that of a container's first interface. */
  #wire(netns: Netns, ifName: string, { n, isSecond }: Which): ResultParts {
    const gateways = isSecond ? [] : ['10.88.0.1', 'fd88::1']
    const host = n === 0 ? 'judgehost' : `judgehost${n}`
    const name = netns.path.slice('/run/netns/'.length)
    if (n === 0) {
      this.world.ipBatch([
        'link add judgebr type bridge',
        'link set judgebr up',
        'address add 10.88.0.1/24 dev judgebr',
        'address add fd88::1/64 dev judgebr nodad'
      ])
    }
    this.world.ipBatch([
      `link add ${host} type veth peer name ${ifName} netns ${name}`,
      `link set ${host} master judgebr up`
    ])
    netns.inside(() =>
      this.world.ipBatch([
        'link set lo up',
        `link set ${ifName} up`,
        `address add 10.88.0.${n + 5}/24 dev ${ifName}`,
        `address add fd88::${n + 5}/64 dev ${ifName} nodad`,
        ...gateways.map(gateway => `route replace default via ${gateway}`)
      ])
    )
    const mac = (link: string) => String(this.world.link(link)?.['address'])
    return {
      interfaces: [
        { name: 'judgebr', mac: mac('judgebr') },
        { name: host, mac: mac(host) },
        { name: ifName, mac: netns.inside(() => mac(ifName)), sandbox: netns.path }
      ],
      ips: [
        { address: `10.88.0.${n + 5}/24`, gateway: '10.88.0.1', interface: 2 },
        { address: `fd88::${n + 5}/64`, gateway: 'fd88::1', interface: 2 }
      ],
      routes: gateways.map(gw => ({ dst: gw.includes(':') ? '::/0' : '0.0.0.0/0', gw })),
      dns: { nameservers: ['10.88.0.1'] }
    }
  }

  /** The configuration of the network, without prevResult. */
  config(version: Version = this.newest(), more: JsonObject = {}): JsonObject {
    const { role, type, config } = this.profile
    const ipam = role === 'interface' ? { ipam: { type: IPAM_NAME } } : role === 'ipam' ? this.#ipam(version) : {}
    const merged: Record<string, unknown> = { cniVersion: version, name: NETWORK, type, ...config, ...ipam, ...more }
    for (const [key, value] of Object.entries(merged)) if (value === undefined) delete merged[key]
    return merged
  }

  /** An IPAM plugin's own part: the suite's for those that it knows, else the user's. */
  #ipam(version: Version): JsonObject {
    const { type, config } = this.profile
    const own = config['ipam']
    return { ipam: { type, ...ipamKeys(type, version), ...(isObject(own) ? own : {}) } }
  }

  env(verb: string, attachment: Attachment, more: CallOptions['env'] = {}): Environment {
    const usual: Record<string, string | undefined> = {
      PATH,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: attachment.netns.path,
      CNI_IFNAME: attachment.ifName,
      CNI_PATH: this.cniPath(),
      ...more
    }
    return Object.fromEntries(
      Object.entries(usual).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
    )
  }

  call(verb: string, attachment: Attachment, options: CallOptions = {}): Outcome {
    const version = options.version ?? this.newest()
    if (this.profile.role === 'interface' && verb === 'ADD' && options.keepAnswer !== true) {
      this.ipam.answer('ADD', { stdout: JSON.stringify(resultIn(version, attachment.parts)) })
    }
    const prev =
      options.noPrevResult === true ? undefined : (options.prevResult ?? this.prevResult(verb, attachment, version))
    const config = this.config(version, {
      ...attachment.keys,
      ...(prev === undefined ? {} : { prevResult: prev }),
      ...options.config
    })
    const outcome = callPlugin({
      path: this.path,
      env: this.env(verb, attachment, options.env),
      stdin: options.stdin ?? JSON.stringify(config),
      ...(options.wrapper === undefined ? {} : { wrapper: options.wrapper }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
    })
    this.#last = outcome
    if (outcome.timedOut) throw new Hung(`${verb}: ${describeOutcome(outcome)}`)
    if (verb === 'ADD' && succeeded(outcome)) attachment.result = printed(outcome)
    return outcome
  }

  /** A call during which the scripted IPAM plugin answers so. */
  callWithAnswer(verb: string, attachment: Attachment, answer: Answer): Outcome {
    this.ipam.answer(verb, answer)
    try {
      return this.call(verb, attachment, { keepAnswer: true })
    } finally {
      this.ipam.answer(verb, {})
    }
  }

  /** What a runtime would hand over as prevResult. */
  prevResult(verb: string, attachment: Attachment, version: Version): JsonObject | undefined {
    const chained = this.profile.role === 'chained' ? resultIn(version, attachment.parts) : undefined
    if (verb === 'ADD') return chained
    if (verb === 'DEL' || verb === 'CHECK') return attachment.result ?? chained
    return undefined
  }

  /** Why an ADD of this plugin cannot work on this machine whatever the plugin does. */
  requireKernel(kind = this.profile.kernelKind): void {
    if (kind !== undefined && !hasLinkKind(this.world, kind))
      throw new NotTestable(`this kernel has no links of kind ${kind}`)
  }

  /** ADD that must succeed for the case to go on. @returns what it printed */
  mustAdd(attachment: Attachment, options: CallOptions = {}): JsonObject {
    this.requireKernel()
    const outcome = this.call('ADD', attachment, options)
    const result = printed(outcome)
    if (!succeeded(outcome) || result === undefined) throw new Blocked(`ADD: ${describeOutcome(outcome)}`)
    return result
  }

  /** A call that must succeed for the case to go on. */
  must(verb: string, attachment: Attachment, options: CallOptions = {}): Outcome {
    const outcome = this.call(verb, attachment, options)
    if (!succeeded(outcome)) throw new Blocked(`${verb}: ${describeOutcome(outcome)}`)
    return outcome
  }

  /** The line that repeats the last call. */
  lastCall(): string {
    return this.#last === undefined ? '' : shellLine(this.#last.call)
  }
}

/** Addresses that the scripted IPAM plugin gives to the n-th container. */
function addresses(n: number): ResultParts {
  return {
    interfaces: [],
    ips: [
      { address: `10.77.0.${n + 5}/24`, gateway: '10.77.0.1' },
      { address: `fd77::${n + 5}/64`, gateway: 'fd77::1' }
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '10.99.0.0/16', gw: '10.77.0.1' }, { dst: 'fd99::/48', gw: 'fd77::1' }],
    dns: {
      nameservers: ['10.77.0.1', 'fd77::1'],
      domain: 'judge.example',
      search: ['judge.example'],
      options: ['ndots:2']
    }
  }
}

/** Configurations of the IPAM plugins that the judge knows. Two sets of ranges need 0.3.0. */
function ipamKeys(type: string, version: Version): JsonObject {
  const two = atLeast(version, '0.3.0')
  if (type === 'static') {
    const v6 = two ? [{ address: 'fd77::5/64', gateway: 'fd77::1' }] : []
    return { addresses: [{ address: '10.77.0.5/24', gateway: '10.77.0.1' }, ...v6], routes: [{ dst: '0.0.0.0/0' }] }
  }
  if (type === 'host-local') {
    const ranges = [[{ subnet: '10.77.0.0/24' }], ...(two ? [[{ subnet: 'fd77::/64' }]] : [])]
    return { ranges, routes: [{ dst: '0.0.0.0/0' }] }
  }
  return {}
}

const kinds = new Map<string, boolean>()

/** Whether the kernel can make links of this kind; tried once, on names that go with the case's world. */
export function hasLinkKind(world: World, kind: string): boolean {
  const known = kinds.get(kind)
  if (known !== undefined) return known
  const more: Readonly<Record<string, readonly string[]>> = {
    vlan: ['link', 'uplink', 'name', 'probe0', 'type', 'vlan', 'id', '4000'],
    ipvlan: ['link', 'uplink', 'name', 'probe0', 'type', 'ipvlan'],
    vxlan: ['name', 'probe0', 'type', 'vxlan', 'id', '4000', 'dstport', '4790'],
    macvlan: ['link', 'uplink', 'name', 'probe0', 'type', 'macvlan'],
    vrf: ['name', 'probe0', 'type', 'vrf', 'table', '4000'],
    'bridge with VLANs': ['name', 'probe0', 'type', 'bridge', 'vlan_filtering', '1']
  }
  const works = world.try('ip', 'link', 'add', ...(more[kind] ?? ['name', 'probe0', 'type', kind]))
  if (works) world.run('ip', 'link', 'del', 'probe0')
  kinds.set(kind, works)
  return works
}

/** Whether an entry of a result's interfaces is the attachment's own one inside the container. */
export function isInterfaceOf(entry: JsonObject, attachment: Attachment): boolean {
  return entry['name'] === attachment.ifName && entry['sandbox'] === attachment.netns.path
}
