/**
 * Encryption of overlay networks: this host's key is told to the others, and theirs become peers of a WireGuard device that
 * tunnels go through.
 *
 *     registry: encryption/<host> --> trust.ts --> Carrier: namespace, wg0 and its peers <-- encrypted tunnels
 *
 * A cluster without encrypted networks has no keys: the first host that needs one begins, and the others follow when they hear of
 * it, so that each is a peer of all before it has a container of its own to encrypt for.
 */
import { join } from 'node:path'
import { CniError, INVALID_CONFIG, NOT_AVAILABLE, TRY_AGAIN_LATER } from '../../lib/cni/error.ts'
import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { LEAST_IPV6_MTU, overheadOf, type Tunnel } from '../../lib/overlay/tunnel.ts'
import { findUnderlay } from '../../lib/overlay/underlay.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Following, Registry } from '../registry.ts'
import { CARRIER_FILE, Carrier, type PeerState } from './carrier.ts'
import type { EncryptionConfig } from './config.ts'
import { addressOfKey, KEYS_PREFIX, keyFromValue, keyValue } from './key-record.ts'
import { type KeyPair, keyBytes, loadKeyPair } from './keys.ts'
import { KnownHosts } from './known-hosts.ts'
import { judgeHosts, type Peer, type Refusal, type Verdict } from './trust.ts'

/** How often the device is looked at. */
const LOOK_MS = 1000
/** The device goes so long after it was last needed: an ADD is on its way between asking for it and coming. */
const REST_MS = 60_000
const PUBLISH_MS = 10_000
/** As the configuration has it; it is shown on terminals. */
const HOST_NAME = /^[^\s/:\p{Cc}\p{Cf}]{1,253}$/u

export interface EncryptionOptions {
  readonly host: string
  readonly config: EncryptionConfig
  /** What the configuration says of it: interface and address, '' = chosen. */
  readonly underlay: { readonly dev: string; readonly local: string }
  /** The agent's, where the carrier is mounted. */
  readonly stateDir: string
  readonly kernel: Kernel
  readonly registry: Registry
  readonly metrics: Metrics
  readonly log: (message: string) => void
}

/** What an encrypted tunnel stands on. */
export interface EncryptedUnderlay {
  /** Path of the namespace. */
  readonly carrier: string
  readonly local: IpAddress
  /** bytes */
  readonly mtu: number
}

/** Who this host is, as its key and its underlay say. */
interface Self {
  readonly pair: KeyPair
  readonly address: IpAddress
  readonly underlay: IpAddress
  /** bytes, of the device */
  readonly mtu: number
  readonly value: string
}

/** A host of the registry, for people. */
export interface HostKey {
  readonly host: string
  readonly key: string
  /** '' when it is a peer */
  readonly refused: string
  readonly endpoint: string
  readonly state: PeerState | undefined
}

/** Outer IP header, UDP, and WireGuard's header and tag. @source WireGuard, "Protocol & Cryptography", transport data */
function wireguardOverhead(underlay: IpAddress): number {
  return (underlay.family === 4 ? 20 : 40) + 8 + 32
}

export class Encryption {
  readonly #options: EncryptionOptions
  readonly #carrier: Carrier
  readonly #records = new Map<string, string>()
  readonly #told = new Set<string>()
  #self: Self | undefined
  #known: KnownHosts | undefined
  #verdict: Verdict = { peers: [], refused: [] }
  #following: Following | undefined
  /** The registry has said who is there: until then an earlier agent's peers are all that is known. */
  #isKnown = false
  #published = ''
  /** Tunnels of this host need the device, or have needed it until then. */
  #neededAt: number | undefined
  #trouble = ''
  #timer: NodeJS.Timeout | undefined

  constructor(options: EncryptionOptions) {
    this.#options = options
    this.#carrier = new Carrier(options.kernel, join(options.stateDir, CARRIER_FILE))
  }

  /** @param tunnels those that are here already */
  start(tunnels: readonly Tunnel[]): void {
    const { registry, metrics } = this.#options
    if (tunnels.some(isEncrypted) || this.#carrier.exists()) this.#neededAt = Date.now()
    metrics.gauge(
      'patchbay_agent_encryption_peers',
      'Hosts that this one has the keys of',
      () => this.#verdict.peers.length
    )
    metrics.gauge(
      'patchbay_agent_encryption_refused',
      'Hosts whose key is not believed',
      () => this.#verdict.refused.length
    )
    if (registry.learns) return
    this.#following = registry.follow(KEYS_PREFIX, {
      reset: (entries, keepRest) => {
        if (!keepRest) this.#records.clear()
        for (const { name, value } of entries) if (HOST_NAME.test(name)) this.#records.set(name, value)
        this.#isKnown = true
      },
      change: (name, value) => {
        if (value === undefined) this.#records.delete(name)
        else if (HOST_NAME.test(name)) this.#records.set(name, value)
      },
      settled: () => this.#refresh()
    })
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#refresh()
  }

  /** The device stays, and goes on: containers run. */
  stop(): void {
    clearInterval(this.#timer)
    this.#following?.stop()
  }

  /** What the registry is to have of this host. */
  values(): ReadonlyMap<string, string> {
    const self = this.#self
    return new Map(self === undefined ? [] : [[this.#key, self.value]])
  }

  get #key(): string {
    return `${KEYS_PREFIX}${this.#options.host}`
  }

  /**
   * What a tunnel is to stand on. When it resolves, the other hosts can know this one's key, and the device has theirs.
   *
   * @throws {CniError} code 50 when this host cannot encrypt; 11 while the registry is away
   */
  async underlay(milliseconds: number): Promise<EncryptedUnderlay> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    if (registry.learns || this.#following === undefined) {
      const advice = 'keep the registry in etcd ("etcd" in the configuration of the agent)'
      throw new CniError(NOT_AVAILABLE, 'encrypt: the registry of this host knows no keys', advice)
    }
    await registry.whenReady(milliseconds)
    this.#identify()
    await this.#publish(deadline - Date.now())
    await this.#following.whenSynced(deadline - Date.now())
    this.#neededAt = Date.now()
    this.ensure()
    return this.#underlay()
  }

  #underlay(): EncryptedUnderlay {
    const self = this.#self
    if (self === undefined) throw new CniError(TRY_AGAIN_LATER, `encrypt: ${this.#trouble || 'not ready yet'}`)
    return { carrier: this.#carrier.path, local: self.address, mtu: self.mtu }
  }

  /** The tunnel as it has to be now; the same object when nothing has changed, or while that cannot be told. */
  follow(tunnel: Tunnel): Tunnel {
    if (this.#self === undefined) return tunnel
    const { carrier, local, mtu: largest } = this.#underlay()
    const mtu = tunnel.follows.mtu ? largest - overheadOf(local) : tunnel.mtu
    if (carrier === tunnel.carrier && addressesEqual(local, tunnel.local) && mtu === tunnel.mtu) return tunnel
    return { ...tunnel, carrier, local, mtu }
  }

  /** @throws {CniError} code 11 when the tunnel was planned on what is not so any more */
  refuseOutdated(tunnel: Tunnel): void {
    if (!isEncrypted(tunnel)) return
    const { carrier, local } = this.#underlay()
    if (tunnel.carrier === carrier && addressesEqual(tunnel.local, local)) return
    throw new CniError(
      TRY_AGAIN_LATER,
      `encrypt ${JSON.stringify(tunnel.name)}: this host's key or underlay has just changed`
    )
  }

  /**
   * Has the device there, with its peers.
   *
   * @throws {CniError} code 50 when this host cannot encrypt
   */
  ensure(): void {
    const { config } = this.#options
    this.#identify()
    const self = this.#self
    if (self === undefined) return
    const { pair, address, mtu } = self
    const { port, range, keepaliveSeconds: keepalive } = config
    this.#carrier.ensure({ ...pair, port, address, range, mtu, keepalive })
    this.#judge()
    if (this.#isKnown) this.#carrier.setPeers(this.#verdict.peers, keepalive)
  }

  /** Compares all of it, and tells what is wrong. */
  compare(): void {
    if (this.#neededAt === undefined) return
    this.#attempt(() => this.ensure())
  }

  /** Before the tunnel is looked at: whatever is wrong is told, and the tunnel does without. */
  prepare(tunnel: Tunnel): void {
    if (isEncrypted(tunnel)) this.compare()
  }

  /** @param tunnels of this host: the device goes when none has needed it for a while */
  rest(tunnels: readonly Tunnel[]): void {
    if (tunnels.some(isEncrypted)) this.#neededAt = Date.now()
    if (this.#neededAt === undefined || Date.now() - this.#neededAt < REST_MS) return
    this.#neededAt = undefined
    this.#attempt(() => this.#carrier.remove())
  }

  /** Another address or MTU: this host is told of anew. */
  underlayChanged(): void {
    if (this.#self === undefined) return
    this.#attempt(() => {
      this.#identify()
      if (this.#neededAt !== undefined) this.ensure()
      // While the registry is away this fails; when it is back, it gets what it lacks.
      this.#publish(PUBLISH_MS).catch(() => undefined)
    })
  }

  /** CHECK: what keeps this host from encrypting, '' when nothing does, or the tunnel is in clear. */
  troubleOf(tunnel: Tunnel): string {
    return isEncrypted(tunnel) ? this.#trouble : ''
  }

  hosts(): readonly HostKey[] {
    const states = this.#carrier.peerStates()
    const peers = this.#verdict.peers.map(one => hostKey(one, '', states))
    const refused = this.#verdict.refused.map(one => hostKey(this.#refusedRecord(one), one.why, states))
    return [...peers, ...refused].sort((a, b) => (a.host < b.host ? -1 : 1))
  }

  /** This host's public key, '' while it has none. */
  get publicKey(): string {
    return this.#self?.pair.publicKey ?? ''
  }

  #refusedRecord({ host, key }: Refusal): {
    readonly host: string
    readonly key: string
    readonly endpoint?: Peer['endpoint']
  } {
    const record = keyFromValue(this.#records.get(host) ?? '')
    return record === undefined ? { host, key } : { ...record, host }
  }

  /**
   * An operator says that a host's key is right: the one that it presents, or the one that he names.
   *
   * @returns the key, and the one that the host was known by, '' when it was not
   * @throws {CniError} code 7 when the host presents none, or another than is named
   */
  trust(host: string, key: string): { readonly key: string; readonly before: string } {
    const presented = keyFromValue(this.#records.get(host) ?? '')?.key ?? ''
    if (presented === '' && key === '') {
      const advice = 'is that its name? patchbay agent trust lists those that do'
      throw new CniError(INVALID_CONFIG, `trust ${JSON.stringify(host)}: it presents no key`, advice)
    }
    if (key !== '' && keyBytes(key) === undefined)
      throw new CniError(INVALID_CONFIG, `trust ${JSON.stringify(host)}: ${JSON.stringify(key)} is no public key`)
    if (key !== '' && presented !== '' && presented !== key)
      throw new CniError(INVALID_CONFIG, `trust ${JSON.stringify(host)}: it presents ${presented}, not ${key}`)
    const known = this.#knownHosts()
    const before = known.keys.get(host) ?? ''
    const trusted = key === '' ? presented : key
    known.add(new Map([[host, trusted]]))
    this.#refresh()
    return { key: trusted, before }
  }

  /** @throws {CniError} what keeps this host from having a key, or an address that others reach */
  #identify(): void {
    const { config } = this.#options
    const pair = this.#self?.pair ?? loadKeyPair(config.directory)
    this.#knownHosts()
    const { local: underlay, mtu } = this.#locate()
    const address = addressOfKey(pair.publicKey, config.range)
    const value = keyValue({ key: pair.publicKey, address, endpoint: { address: underlay, port: config.port } })
    this.#self = { pair, address, underlay, mtu, value }
  }

  #locate(): { readonly local: IpAddress; readonly mtu: number } {
    const { config, kernel, underlay } = this.#options
    const host = kernel.host()
    try {
      const wanted = { dev: underlay.dev, local: parseAddress(underlay.local), peers: [], group: undefined }
      const { link, local } = findUnderlay(host, wanted)
      const mtu = link.mtu - wireguardOverhead(local)
      if (config.range.address.family === 6 && mtu < LEAST_IPV6_MTU) {
        const least = LEAST_IPV6_MTU + wireguardOverhead(local)
        throw new CniError(
          NOT_AVAILABLE,
          `encrypt: ${JSON.stringify(link.name)} has MTU ${link.mtu}, and IPv6 within needs ${least}`,
          'raise it, or take an IPv4 range in "encryption.range", the same on all hosts'
        )
      }
      return { local, mtu }
    } catch (error) {
      if (!(error instanceof CniError) || error.code === NOT_AVAILABLE) throw error
      const advice = 'name interface or address in "underlay.dev" or "underlay.local" of the agent'
      throw new CniError(NOT_AVAILABLE, `encrypt: ${error.message}`, advice)
    } finally {
      host.close()
    }
  }

  #knownHosts(): KnownHosts {
    this.#known ??= new KnownHosts(this.#options.config.directory)
    return this.#known
  }

  async #publish(milliseconds: number): Promise<void> {
    const value = this.#self?.value ?? ''
    if (value === this.#published || value === '') return
    this.#published = value
    try {
      await this.#options.registry.put(this.#key, value, milliseconds)
    } catch (error) {
      this.#published = ''
      throw error
    }
  }

  /** The registry, or an operator, has said something new. */
  #refresh(): void {
    const isAlone = [...this.#records.keys()].every(host => host === this.#options.host)
    if (this.#self === undefined && isAlone && this.#neededAt === undefined) return
    this.#attempt(() => {
      if (this.#self === undefined) this.#identify()
      const own = this.#records.get(this.#options.host)
      // Somebody has written over it, or removed it.
      if (this.#isKnown && own !== this.#self?.value) this.#published = ''
      this.#publish(PUBLISH_MS).catch(() => undefined)
      if (this.#neededAt === undefined) this.#judge()
      else this.ensure()
    })
  }

  /** Decides who is a peer; keys that are seen for the first time are written down before they are believed. */
  #judge(): void {
    const { host, config, log } = this.#options
    const self = this.#self
    if (self === undefined) return
    const known = this.#knownHosts()
    const { trustFirst, range } = config
    const verdict = judgeHosts(this.#records, {
      host,
      key: self.pair.publicKey,
      family: self.underlay.family,
      range,
      trustFirst,
      known: known.keys
    })
    const first = verdict.peers.filter(peer => !known.keys.has(peer.host))
    if (first.length > 0) known.add(new Map(first.map(peer => [peer.host, peer.key])))
    this.#verdict = verdict
    const reasons = new Set(verdict.refused.map(one => `host ${JSON.stringify(one.host)} ${one.why}`))
    for (const reason of reasons) if (!this.#told.has(reason)) log(`encryption: not a peer: ${reason}`)
    this.#told.clear()
    for (const reason of reasons) this.#told.add(reason)
  }

  /** Somebody may have taken the device away; nothing tells of it, for it is in a namespace of its own. */
  #look(): void {
    const self = this.#self
    if (this.#neededAt === undefined) return
    if (self !== undefined && this.#trouble === '' && this.#carrier.isUp(self.mtu)) return
    this.compare()
  }

  /** What goes wrong is told once. */
  #attempt(work: () => void): void {
    let trouble = ''
    try {
      work()
    } catch (error) {
      trouble = messageOf(error)
    }
    if (trouble !== '' && trouble !== this.#trouble) this.#options.log(trouble)
    this.#trouble = trouble
  }
}

function isEncrypted(tunnel: Tunnel): boolean {
  return tunnel.carrier !== ''
}

function hostKey(
  { host, key, endpoint }: { readonly host: string; readonly key: string; readonly endpoint?: Peer['endpoint'] },
  refused: string,
  states: ReadonlyMap<string, PeerState>
): HostKey {
  const where = endpoint === undefined ? '' : `${formatAddress(endpoint.address)} port ${endpoint.port}`
  return { host, key, refused, endpoint: where, state: states.get(key) }
}
