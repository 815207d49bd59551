/**
 * Making, changing and removing services: each one transaction, in which nobody else takes the name, the address or a
 * published port.
 */
import { randomBytes } from 'node:crypto'
import { CniError, INVALID_CONFIG, TRY_AGAIN_LATER } from '../../lib/cni/error.ts'
import { addToAddress, compareAddresses, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { type RangeSet, setText, spanOf } from '../../lib/ranges/range-set.ts'
import { LeaseDirectory } from '../../lib/state/leases.ts'
import {
  addressKey,
  addressPrefix,
  type Entry,
  NETWORKS,
  type Reading,
  type Registry,
  SERVICES,
  type Shared,
  type Unchanged
} from '../registry.ts'
import { ownerFromValue, ownerValue } from '../registry-value.ts'
import { claimsOf, leaseOwner, type ServiceLeases } from './leases.ts'
import { type Published, portText, type ServiceRecord, serviceFromValue, serviceToValue } from './record.ts'
import { refuseWithoutNames, type ServiceNetwork, serviceNetwork } from './service-network.ts'

/** A service that is to be made: the agent gives it an id, and an address of each family of its network. */
export type NewService = Omit<ServiceRecord, 'id' | 'created' | 'vips' | 'pool' | 'leases' | 'leaseHost'> & {
  /** These, where they are asked for. */
  readonly vips: readonly IpAddress[]
}

/** What can be changed of one; undefined stays as it is. */
export interface ServiceChange {
  readonly alias: string | undefined
  readonly isSticky: boolean | undefined
  readonly published: ServiceRecord['published'] | undefined
  /** More than those, or than there are. */
  readonly added: ServiceRecord['published']
  /** All that lead there are given up first. */
  readonly removed: readonly Target[]
}

/** A port of the members. */
export type Target = Pick<Published, 'target' | 'protocol'>

export interface RegistrarOptions {
  readonly host: string
  readonly registry: Registry
  /** Where this host's runtimes look for networks. */
  readonly confDir: string
  readonly leases: ServiceLeases
  /** Why this host cannot publish a port; '' when it can. */
  readonly portProblem: (record: ServiceRecord) => string
}

/** How many addresses are looked at: a pool that is so full has none to spare. */
const MOST_TRIED = 100_000
/** The host that an address of a service is said to be on. */
const EVERY_HOST = '(every host)'

export class Registrar {
  readonly #options: RegistrarOptions

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /**
   * @returns the service as it is in the registry now
   * @throws {CniError} code 7 naming what is in the way; 100, 101 for its address; 11 without the registry
   */
  async create(wish: NewService, milliseconds: number): Promise<ServiceRecord> {
    const { registry, confDir, host } = this.#options
    const deadline = Date.now() + milliseconds
    const network = wish.mode === 'vip' ? serviceNetwork(confDir, wish.network) : undefined
    if (network === undefined) refuseWithoutNames(confDir, wish.network)
    let isOfCluster = false
    const id = randomBytes(32).toString('hex')
    const created = new Date().toISOString()
    for (;;) {
      const all = await registry.read(SERVICES, deadline - Date.now())
      const own = recordsOf(all.entries).find(one => one.id === id)
      // The answer to our own transaction got lost.
      if (own !== undefined) return own
      if (all.entries.some(one => one.name === wish.name)) throw nameTaken(wish.name, all.entries)
      const networks = await registry.read(NETWORKS, deadline - Date.now())
      const itsNetwork = networks.entries.find(one => one.name === wish.network)
      // This host's configuration of it may go a moment later.
      if (isOfCluster && itsNetwork === undefined) throw networkGone(wish)
      isOfCluster = itsNetwork !== undefined
      const leases = network?.leases ?? ''
      const leaseHost = leases === '' ? '' : host
      const plain = { ...wish, id, created, vips: [], pool: network?.pool ?? '', leases, leaseHost }
      const others = recordsOf(all.entries)
      this.#refusePorts(plain, others)
      const pool = network?.pool ?? ''
      const taken = pool === '' ? undefined : await registry.read(addressPrefix(pool), deadline - Date.now())
      const vips = network === undefined ? [] : addressesFor(network, wish, ownersOf(taken, others, wish.network))
      const record = { ...plain, vips }
      const conditions: Unchanged[] = [{ under: SERVICES, since: all.revision }]
      if (itsNetwork !== undefined) conditions.push({ key: `${NETWORKS}${wish.network}`, since: itsNetwork.revision })
      if (taken !== undefined) conditions.push({ under: addressPrefix(pool), since: taken.revision })
      const revision = await registry.share(sharedOf(record), conditions, deadline - Date.now())
      if (revision !== undefined) return record
      this.#options.leases.release(record)
      refuseLate('create', wish.name, deadline)
    }
  }

  /** @throws {CniError} code 7 when there is none of the name, or naming what is in the way; 11 without the registry */
  async update(name: string, change: ServiceChange, milliseconds: number): Promise<ServiceRecord> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    for (;;) {
      const all = await registry.read(SERVICES, deadline - Date.now())
      const before = recordsOf(all.entries).find(one => one.name === name)
      if (before === undefined) throw unknownService('update', name)
      const record: ServiceRecord = {
        ...before,
        alias: change.alias ?? before.alias,
        isSticky: change.isSticky ?? before.isSticky,
        published: publishedAfter(before, change)
      }
      this.#refusePorts(
        record,
        recordsOf(all.entries).filter(one => one.name !== name)
      )
      const value = serviceToValue(record)
      const judged = serviceFromValue(name, value)
      if (typeof judged === 'string')
        throw new CniError(INVALID_CONFIG, `update service ${JSON.stringify(name)}: ${judged}`)
      const conditions = [{ under: SERVICES, since: all.revision }]
      const shared = { key: `${SERVICES}${name}`, value }
      if ((await registry.share([shared], conditions, deadline - Date.now())) !== undefined) return record
      refuseLate('update', name, deadline)
    }
  }

  /** @throws {CniError} code 7 when there is none of the name; 11 without the registry */
  async remove(name: string, milliseconds: number): Promise<void> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    let isTried = false
    for (;;) {
      const all = await registry.read(SERVICES, deadline - Date.now())
      const entry = all.entries.find(one => one.name === name)
      if (entry === undefined) {
        // The answer to our own removal may have got lost.
        if (isTried) return
        throw unknownService('remove', name)
      }
      const record = serviceFromValue(name, entry.value)
      const shared = typeof record === 'string' ? [{ key: `${SERVICES}${name}`, value: undefined }] : goneOf(record)
      isTried = true
      const conditions = [{ under: SERVICES, since: all.revision }]
      if ((await registry.share(shared, conditions, deadline - Date.now())) !== undefined) {
        if (typeof record !== 'string') this.#options.leases.release(record)
        return
      }
      refuseLate('remove', name, deadline)
    }
  }

  #refusePorts(record: ServiceRecord, others: readonly ServiceRecord[]): void {
    for (const one of record.published) {
      const owner = others.find(other =>
        other.published.some(({ port, protocol }) => port === one.port && protocol === one.protocol)
      )
      if (owner === undefined) continue
      throw new CniError(
        INVALID_CONFIG,
        `publish port ${portText(one)} of service ${JSON.stringify(record.name)}: service ${JSON.stringify(owner.name)} has it`,
        'choose another port'
      )
    }
    const problem = this.#options.portProblem(record)
    if (problem !== '') throw new CniError(INVALID_CONFIG, problem, 'choose another port')
  }
}

/** @throws {CniError} code 7 for a port that is not published, or is twice */
function publishedAfter({ name, published }: ServiceRecord, change: ServiceChange): ServiceRecord['published'] {
  const what = `update service ${JSON.stringify(name)}`
  let ports = change.published ?? published
  for (const { target, protocol } of change.removed) {
    const rest = ports.filter(one => one.target !== target || one.protocol !== protocol)
    if (rest.length === ports.length)
      throw new CniError(
        INVALID_CONFIG,
        `${what}: no port leads to ${portText({ port: target, protocol })} of its members`,
        `published: ${ports.map(one => `${one.port}:${portText({ ...one, port: one.target })}`).join(', ') || 'none'}`
      )
    ports = rest
  }
  for (const added of change.added) {
    const same = ports.find(one => one.port === added.port && one.protocol === added.protocol)
    if (same === undefined) ports = [...ports, added]
    else if (same.target !== added.target)
      throw new CniError(
        INVALID_CONFIG,
        `${what}: port ${portText(added)} leads to port ${same.target} of its members already`,
        'remove that one in the same command'
      )
  }
  return ports
}

function recordsOf(entries: readonly Entry[]): readonly ServiceRecord[] {
  return entries.flatMap(({ name, value }) => {
    const record = serviceFromValue(name, value)
    return typeof record === 'string' ? [] : [record]
  })
}

function nameTaken(name: string, entries: readonly Entry[]): CniError {
  const made = recordsOf(entries).find(one => one.name === name)
  const since = made === undefined ? '' : ` on network ${JSON.stringify(made.network)} since ${made.created}`
  return new CniError(
    INVALID_CONFIG,
    `create service ${JSON.stringify(name)}: there is a service of this name${since}`,
    'choose another name, or change that one: patchbay service update'
  )
}

function networkGone({ name, network }: NewService): CniError {
  return new CniError(
    INVALID_CONFIG,
    `create service ${JSON.stringify(name)}: network ${JSON.stringify(network)} was removed meanwhile`
  )
}

export function unknownService(verb: string, name: string): CniError {
  return new CniError(INVALID_CONFIG, `${verb} service ${JSON.stringify(name)}: there is none of this name`)
}

/** @throws {CniError} code 11 */
function refuseLate(verb: string, name: string, deadline: number): void {
  if (Date.now() < deadline) return
  throw new CniError(
    TRY_AGAIN_LATER,
    `${verb} service ${JSON.stringify(name)}: others write to the registry all the time`,
    'try again'
  )
}

function sharedOf(record: ServiceRecord): readonly Shared[] {
  const { name, network, pool, vips } = record
  const owner = { host: EVERY_HOST, network, containerId: `service ${name}`, ifName: 'vip' }
  const addresses = pool === '' ? [] : vips.map(formatAddress)
  return [
    { key: `${SERVICES}${name}`, value: serviceToValue(record) },
    ...addresses.map(ip => ({ key: addressKey(pool, ip), value: ownerValue(owner) }))
  ]
}

function goneOf(record: ServiceRecord): readonly Shared[] {
  return sharedOf(record).map(({ key }) => ({ key, value: undefined }))
}

/** Who has which address of a pool; a service that was not made by an agent may have one that is not written down there. */
function ownersOf(
  taken: Reading | undefined,
  services: readonly ServiceRecord[],
  network: string
): ReadonlyMap<string, string> {
  const ofServices = services
    .filter(one => one.network === network)
    .flatMap(one => one.vips.map(vip => [formatAddress(vip), `service ${one.name}`] as const))
  return new Map([...ofServices, ...(taken?.entries ?? []).map(one => [one.name, whoIs(one.value)] as const)])
}

/**
 * One address of each set: the one that is asked for, or the last that is free. Containers get theirs from the beginning, or
 * from anywhere: the end is what stays free longest.
 */
function addressesFor(
  network: ServiceNetwork,
  wish: NewService,
  owners: ReadonlyMap<string, string>
): readonly IpAddress[] {
  const strange = wish.vips.find(vip => !network.sets.some(set => spanOf(set, vip) !== undefined))
  if (strange !== undefined) {
    const ranges = network.sets.map(setText).join(' and ')
    throw new CniError(
      INVALID_CONFIG,
      `give service ${JSON.stringify(wish.name)} the address ${JSON.stringify(formatAddress(strange))}: network ${JSON.stringify(network.name)} gives ${ranges}`,
      'choose one of these, or leave out --vip'
    )
  }
  const sets = network.sets.filter(set => set.spans.length > 0)
  const wanted = (set: RangeSet): IpAddress | undefined => wish.vips.find(vip => spanOf(set, vip) !== undefined)
  for (const vip of wish.vips) {
    const owner = owners.get(formatAddress(vip))
    if (owner !== undefined) throw vipTaken(wish.name, vip, owner)
  }
  const isTaken = (ip: string): boolean => owners.has(ip)
  if (network.leases !== '') return lease(network, wish.name, sets, { wanted, isTaken })
  return sets.map(set => wanted(set) ?? lastFree(wish.name, set, isTaken))
}

function whoIs(value: string): string {
  const { containerId, host } = ownerFromValue(value)
  return host === EVERY_HOST ? containerId : `container ${JSON.stringify(containerId)} on host ${JSON.stringify(host)}`
}

function vipTaken(name: string, vip: IpAddress, owner: string): CniError {
  return new CniError(
    INVALID_CONFIG,
    `give service ${JSON.stringify(name)} the address ${JSON.stringify(formatAddress(vip))}: ${owner} has it`,
    'choose another one, or leave out --vip'
  )
}

function lastFree(name: string, set: RangeSet, isTaken: (ip: string) => boolean): IpAddress {
  let tried = 0
  for (const span of set.ascending.toReversed()) {
    let at: IpAddress | undefined = span.last
    while (at !== undefined && compareAddresses(at, span.first) >= 0 && tried < MOST_TRIED) {
      if (!isTaken(formatAddress(at))) return at
      at = addToAddress(at, -1)
      tried += 1
    }
  }
  throw new CniError(
    INVALID_CONFIG,
    `give service ${JSON.stringify(name)} an address of ${set.path} (${setText(set)}): all are taken`,
    'remove containers, or use --mode dnsrr, which needs none'
  )
}

interface Choice {
  /** What is asked for of a set. */
  readonly wanted: (set: RangeSet) => IpAddress | undefined
  readonly isTaken: (ip: string) => boolean
}

function lease(
  network: ServiceNetwork,
  name: string,
  sets: readonly RangeSet[],
  { wanted, isTaken }: Choice
): readonly IpAddress[] {
  const leases = new LeaseDirectory(network.leases, network.name)
  const owner = leaseOwner(network.name, name)
  return leases.locked(() => {
    leases.release(owner)
    const names = leases.names()
    const vips = sets.map(set => {
      const vip = wanted(set)
      const other = vip === undefined ? undefined : leases.find(vip)?.owner
      if (vip !== undefined && other !== undefined)
        throw vipTaken(name, vip, `container ${JSON.stringify(other.containerId)}`)
      return vip ?? lastFree(name, set, ip => names.has(ip) || isTaken(ip))
    })
    leases.claim(owner, [], claimsOf(vips))
    return vips
  })
}
