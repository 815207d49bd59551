/**
 * This host in etcd. Two leases, and a record that tells of them:
 *
 *     <prefix>/hosts/<host>           {"machine": ..., "presence": lease, "records": lease}    goes with the records
 *     <prefix>/hosts/<host>/present   goes with the presence lease: while it is there, an agent of that name runs
 *
 * Endpoints and addresses go with the long lease of the records: a host whose agent is stopped for a while goes on being
 * reached. The short one says who is there, and so who may be given the name or the address of another.
 */
import { randomBytes } from 'node:crypto'
import { FORMAT } from '../lib/config/format.ts'
import type { Condition, Etcd, Operation } from './etcd/etcd.ts'
import { NO_LEASE, put } from './etcd/etcd.ts'
import { FORMAT_KEY, refuseNewerRegistry } from './registry.ts'
import { type HostValue, hostFromValue } from './registry-value.ts'

/** The leases' ids, remembered over restarts of the agent. */
export interface EtcdLeases {
  readonly presence: bigint
  readonly records: bigint
}

export interface EtcdLeaseStore {
  readonly read: () => EtcdLeases | undefined
  readonly write: (leases: EtcdLeases) => void
}

export interface HostOptions {
  readonly prefix: string
  readonly host: string
  /** Tells two hosts of one name apart; clones have the same. */
  readonly machine: string
  readonly presenceSeconds: number
  readonly recordsSeconds: number
  readonly leases: EtcdLeaseStore
}

const CALL_MS = 5000
const LOOK_AGAIN_MS = 500

export function presenceKey(prefix: string, host: string): string {
  return `${prefix}/hosts/${host}/present`
}

export class HostRecord {
  readonly #etcd: Etcd
  readonly #options: HostOptions
  #leases: EtcdLeases | undefined

  constructor(etcd: Etcd, options: HostOptions) {
    this.#etcd = etcd
    this.#options = options
  }

  /** The lease of endpoints and addresses; 0 before there is one. */
  get records(): bigint {
    return this.#leases?.records ?? 0n
  }

  /** Its own keys: no endpoints and no addresses. */
  get keys(): readonly string[] {
    return [this.#key, presenceKey(this.#options.prefix, this.#options.host)]
  }

  get #key(): string {
    return `${this.#options.prefix}/hosts/${this.#options.host}`
  }

  /**
   * Makes the leases that are missing, and says that this host is there.
   *
   * @throws Error when another agent of this name runs
   */
  async register(signal: AbortSignal): Promise<void> {
    const leases = await this.#ensureLeases()
    const { machine, host, prefix } = this.#options
    const record = { machine, presence: String(leases.presence), records: String(leases.records) }
    for (;;) {
      const before = await this.#etcd.get(this.#key, CALL_MS)
      const other = before === undefined ? undefined : hostFromValue(before.value)
      if (other !== undefined && other.presence !== record.presence) await this.#succeed(other, record.records, signal)
      const unchanged: Condition =
        before === undefined ? { key: this.#key, absent: true } : { key: this.#key, since: before.modRevision }
      const operations = [
        ...(await this.#formatOperations()),
        put(this.#key, JSON.stringify(record), leases.records),
        put(presenceKey(prefix, host), machine, leases.presence)
      ]
      if ((await this.#etcd.txn([unchanged], operations, [], CALL_MS)).succeeded) return
      signal.throwIfAborted()
    }
  }

  /** @returns what writes down the form of the registry, when nobody has @throws {FormatError} */
  async #formatOperations(): Promise<readonly Operation[]> {
    const key = `${this.#options.prefix}/${FORMAT_KEY}`
    const present = await this.#etcd.get(key, CALL_MS)
    if (present === undefined) return [put(key, String(FORMAT), NO_LEASE)]
    refuseNewerRegistry(present.value)
    return []
  }

  /** @returns false when one of the leases has ended */
  async keepAlive(milliseconds: number): Promise<boolean> {
    if (this.#leases === undefined) return true
    const { presence, records } = this.#leases
    const left = await Promise.all([presence, records].map(id => this.#etcd.keepAlive(id, milliseconds)))
    return left.every(seconds => seconds > 0)
  }

  /** The keys that go with the leases. */
  async leasedKeys(): Promise<ReadonlySet<string>> {
    if (this.#leases === undefined) return new Set()
    const { presence, records } = this.#leases
    const both = await Promise.all([presence, records].map(id => this.#etcd.lease(id, CALL_MS)))
    return new Set(both.flatMap(lease => lease.keys))
  }

  async #ensureLeases(): Promise<EtcdLeases> {
    const known = this.#leases ?? this.#options.leases.read()
    const { presenceSeconds, recordsSeconds } = this.#options
    const presence = await this.#liveLease(known?.presence, presenceSeconds)
    const records = await this.#liveLease(known?.records, recordsSeconds)
    const leases = { presence, records }
    if (known?.presence !== presence || known.records !== records) this.#options.leases.write(leases)
    this.#leases = leases
    return leases
  }

  async #liveLease(known: bigint | undefined, seconds: number): Promise<bigint> {
    if (known !== undefined && (await this.#etcd.keepAlive(known, CALL_MS)) > 0) return known
    const id = BigInt(`0x${randomBytes(8).toString('hex')}`) >> 1n
    await this.#etcd.grantLease(id, seconds, CALL_MS)
    return id
  }

  /** Takes the name over from who has it, an earlier life of this host most often, and ends what that one has left. */
  async #succeed(other: HostValue, ownRecords: string, signal: AbortSignal): Promise<void> {
    await this.#waitUntilGone(other, signal)
    // The containers of before the reboot are gone, and their addresses are free.
    if (other.records !== '' && other.records !== ownRecords)
      await this.#etcd.revokeLease(BigInt(other.records), CALL_MS)
  }

  /** A lease that only runs out is that of an agent that has died; one that is renewed, that of an agent that lives. */
  async #waitUntilGone(other: HostValue, signal: AbortSignal): Promise<void> {
    const isOfAnother = other.machine !== this.#options.machine
    if (other.presence === '') {
      if (isOfAnother) throw nameTaken(this.#options, other)
      return
    }
    let last = Number.POSITIVE_INFINITY
    let end = Number.POSITIVE_INFINITY
    for (;;) {
      const { seconds } = await this.#etcd.lease(BigInt(other.presence), CALL_MS)
      if (seconds <= 0) return
      // Whole seconds: of a short lease that is renewed they may always be the same.
      if (end === Number.POSITIVE_INFINITY) end = performance.now() + (seconds + 2) * 1000
      if (isOfAnother || seconds > last || performance.now() > end) throw nameTaken(this.#options, other)
      last = seconds
      await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS))
      signal.throwIfAborted()
    }
  }
}

function nameTaken(own: HostOptions, other: HostValue): Error {
  const name = JSON.stringify(own.host)
  return other.machine === own.machine
    ? new Error(
        `another agent is registered as ${name}, with this machine's id: give each host a name of its own (key "host"), and a clone a machine id of its own (systemd-machine-id-setup)`
      )
    : new Error(
        `another machine (${JSON.stringify(other.machine)}) is registered as ${name}: give each host a name of its own (key "host")`
      )
}
