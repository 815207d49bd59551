/**
 * Rules of containers that somebody took away: `nft flush ruleset`, a restart of the host's firewall, `iptables -F`. The next ADD that
 * needs one of them makes all again; here that is done without an ADD, by the same functions:
 *
 *     somebody ----- flush ----> kernel ----- "table patchbay-portmap is gone" ----> agent ----- under the host's lock, from
 *                                                                                    what plugins have written down ----> kernel
 *
 * The older iptables tells nobody. There the rules are looked at from time to time.
 */
import type { Flushed } from '../lib/attach/flushed.ts'
import { DecodeError } from '../lib/bytes/reader.ts'
import { hasLegacyTable } from '../lib/iptables/iptables.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { KernelEvents } from '../lib/netlink/events.ts'
import { NFT_MSG_DELRULE, NFT_MSG_DELTABLE } from '../lib/netlink/nf/nf-tables.ts'
import { NFNL_SUBSYS_NFTABLES, nfType } from '../lib/netlink/nf/nfnetlink.ts'
import { decodeTableOf } from '../lib/netlink/nf/table.ts'
import { errnoOf, messageOf, SysError } from '../lib/sys/errors.ts'
import { NETLINK_NETFILTER } from '../lib/sys/netlink-socket.ts'
import { RESTORERS } from '../plugins/restore.ts'

/** linux/netfilter/nfnetlink.h */
const NFNLGRP_NFTABLES = 7
const DELTABLE = nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE)
const DELRULE = nfType(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELRULE)
/** What is more is dropped by the kernel and told as such: then everything is looked at. So a set of millions costs no more. */
const BUFFER = 256 * 1024
const POLL_MS = 100
/** Who flushes most often goes on to make rules of its own. */
const SETTLE_MS = 1000
/** Looking takes a tenth of the time at most, on a host whose containers come and go with rules of iptables. */
const SHARE = 10
/** But who flushes twice does not wait for longer than this. */
const LONGEST_MS = 5000
/** A plugin holds the lock for milliseconds. Where one does not, names and tunnels must not wait for it here. */
const LOCK_MS = 50

export interface FlushedRulesOptions {
  readonly kernel: Kernel
  /** Where plugins write attachments down. */
  readonly stateDir: string
  readonly compareSeconds: number
  readonly log: (message: string) => void
}

export class FlushedRules {
  readonly #options: FlushedRulesOptions
  readonly #events = new KernelEvents(NETLINK_NETFILTER, [NFNLGRP_NFTABLES], BUFFER)
  readonly #own: ReadonlySet<string> = new Set(RESTORERS.flatMap(one => one.tables))
  readonly #iptables: ReadonlySet<string> = new Set(RESTORERS.flatMap(one => one.iptables))
  /** Tables that have lost something and are still to be looked at. At first all: somebody may have flushed while there was no agent. */
  readonly #touched = new Set<string>([...this.#own, ...this.#iptables])
  #lookAt = 0
  #timers: readonly NodeJS.Timeout[] = []
  #told = ''

  constructor(options: FlushedRulesOptions) {
    this.#options = options
  }

  start(): void {
    const legacy = (): void => {
      for (const table of this.#iptables) if (hasLegacyTable(table)) this.#touched.add(table)
    }
    this.#timers = [setInterval(() => this.#drain(), POLL_MS), setInterval(legacy, this.#options.compareSeconds * 1000)]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#events.close()
  }

  #drain(): void {
    const before = this.#touched.size
    try {
      for (let messages = this.#events.take(); messages !== undefined; messages = this.#events.take())
        for (const { type, payload } of messages) this.#note(type, payload)
    } catch (error) {
      // A newer kernel may tell in another form; then looking at everything is what is left.
      const isLost = error instanceof DecodeError || (error instanceof SysError && error.errno === 'ENOBUFS')
      if (!isLost) throw error
      for (const table of [...this.#own, ...this.#iptables]) this.#touched.add(table)
    }
    if (before === 0 && this.#touched.size > 0) this.#lookAt = Math.max(this.#lookAt, Date.now() + SETTLE_MS)
    if (this.#touched.size > 0 && Date.now() >= this.#lookAt) this.#restore()
  }

  /** Of a table of ours rules go all the time, with the containers: it counts when the table itself does. */
  #note(type: number, payload: Uint8Array): void {
    if (type !== DELTABLE && type !== DELRULE) return
    const table = decodeTableOf(payload)
    if ((type === DELTABLE && this.#own.has(table)) || this.#iptables.has(table)) this.#touched.add(table)
  }

  #restore(): void {
    const started = Date.now()
    try {
      this.#restoreTouched()
      this.#touched.clear()
      this.#tell('')
    } catch (error) {
      // The lock is somebody else's for the moment.
      if (errnoOf(error) !== 'EAGAIN') this.#tell(messageOf(error))
    }
    const now = Date.now()
    this.#lookAt = now + Math.min(LONGEST_MS, Math.max(SETTLE_MS, (now - started) * SHARE))
  }

  #restoreTouched(): void {
    const { kernel, stateDir } = this.#options
    const host = kernel.host()
    try {
      const nft = kernel.nft(host)
      try {
        const flushed: Flushed = { host, nft, stateDir, except: '' }
        const touched = RESTORERS.filter(one => [...one.tables, ...one.iptables].some(name => this.#touched.has(name)))
        host.withLock(() => {
          for (const { restore } of touched) restore(flushed)
        }, LOCK_MS)
      } finally {
        nft.close()
      }
    } finally {
      host.close()
    }
  }

  /** Once, until it is another. */
  #tell(problem: string): void {
    if (problem !== '' && problem !== this.#told) this.#options.log(`rules that were flushed: ${problem}`)
    this.#told = problem
  }
}
