/**
 * The rules that have the kernel tell what becomes of the probe: a table of our own in a namespace, there while a probe is on
 * its way.
 *
 * The table belongs to our socket: when the command ends in whatever way, the kernel takes the table away with the socket
 * (NFT_TABLE_F_OWNER, Linux 5.12). Before that, what a killed command leaves is found by its name, which holds the number of a
 * process that is no more, and is removed by the next trace or by doctor.
 *
 * @source linux/netfilter/nf_tables.h enum nft_table_flags; net/netfilter/nf_tables_api.c nft_rcv_nl_event
 */
import { existsSync } from 'node:fs'
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import type { Conn, Request } from '../../lib/netlink/conn.ts'
import { KernelError } from '../../lib/netlink/kernel-error.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from '../../lib/netlink/message.ts'
import { encodeChain, NF_ACCEPT, NF_INET_LOCAL_OUT, NF_INET_PRE_ROUTING } from '../../lib/netlink/nf/chain.ts'
import type { Expression } from '../../lib/netlink/nf/expression.ts'
import {
  decodeNetdevChain,
  encodeNetdevChain,
  NETDEV_HOOKS,
  NFPROTO_NETDEV
} from '../../lib/netlink/nf/netdev-chain.ts'
import {
  NFT_MSG_DELTABLE,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE
} from '../../lib/netlink/nf/nf-tables.ts'
import {
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_BRIDGE,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFPROTO_UNSPEC,
  nfType
} from '../../lib/netlink/nf/nfnetlink.ts'
import { encodeRule } from '../../lib/netlink/nf/rule.ts'
import { decodeTable, encodeTable, encodeTableName } from '../../lib/netlink/nf/table.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { NETLINK_NETFILTER } from '../../lib/sys/netlink-socket.ts'
import { questionRules, traceRules } from './match.ts'
import type { Probe } from './probe.ts'

const PREFIX = 'patchbay-trace-'
const NFT_TABLE_F_OWNER = 2
/** Before every chain that anybody else has: NF_IP_PRI_RAW_BEFORE_DEFRAG is -450. */
const PRIORITY = -1000
const HOOKS = { prerouting: NF_INET_PRE_ROUTING, output: NF_INET_LOCAL_OUT } as const
const COMMENT = 'patchbay trace: gone when it ends'

export function isOwnTable(table: string): boolean {
  return table.startsWith(PREFIX)
}

export class Mark {
  readonly #conn: Conn
  /** Families whose table the kernel does not take away by itself. */
  readonly #left: number[] = []

  /** @throws {KernelError} where the kernel has no nf_tables */
  constructor(namespaceFd: number, probe: Probe) {
    this.#conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
    try {
      const rules = traceRules(probe)
      const family = probe.source.family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6
      this.#add(family, chainsOf(family), rules)
      const withQuestions = [...rules, ...questionRules(probe)]
      this.#addWherePossible(NFPROTO_BRIDGE, chainsOf(NFPROTO_BRIDGE), withQuestions)
      this.#addWherePossible(NFPROTO_NETDEV, netdevChains(this.#conn), withQuestions)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** @throws {KernelError} never for a table that is gone */
  close(): void {
    for (const family of this.#left) removeTable(this.#conn, family, ownTable())
    this.#conn.close()
  }

  /** Kernels may lack the family, and devices go. */
  #addWherePossible(family: number, chains: readonly OwnChain[], rules: readonly (readonly Expression[])[]): void {
    try {
      if (chains.length > 0) this.#add(family, chains, rules)
    } catch (error) {
      if (errnoOf(error) === '') throw error
    }
  }

  #add(family: number, chains: readonly OwnChain[], rules: readonly (readonly Expression[])[]): void {
    const owned = this.#conn.transact(commands(family, chains, rules, NFT_TABLE_F_OWNER), undefined)
    if (owned === undefined) return
    const plain = this.#conn.transact(commands(family, chains, rules, 0), undefined)
    if (plain === undefined) this.#left.push(family)
    else throw new KernelError('add', `table ${ownTable()}`, plain.errno, plain.explanation)
  }
}

interface OwnChain {
  readonly name: string
  /** NEWCHAIN's. */
  readonly payload: Uint8Array
}

function chainsOf(family: number): readonly OwnChain[] {
  const table = ownTable()
  return Object.entries(HOOKS).map(([name, number]) => {
    const hook = { type: 'filter', number, priority: PRIORITY, policy: NF_ACCEPT }
    return { name, payload: encodeChain({ family, table, name, hook, use: 0 }) }
  })
}

/** Where somebody else has a chain of family netdev: what it does with a packet comes before all that the others see, or after. */
function netdevChains(conn: Conn): readonly OwnChain[] {
  const name = encodeTableName(NFPROTO_NETDEV, '')
  const others = dumpOrNone(conn, 'chains', NFT_MSG_GETCHAIN, name)
    .map(payload => decodeNetdevChain(payload))
    .filter(one => !isOwnTable(one.table))
  return NETDEV_HOOKS.flatMap((hook, number) => {
    const devices = [...new Set(others.filter(one => one.hook === number).flatMap(one => one.devices))]
    const chain = {
      family: NFPROTO_NETDEV,
      table: ownTable(),
      type: 'filter',
      hook: number,
      priority: PRIORITY,
      devices
    }
    return devices.length === 0 ? [] : [{ name: hook, payload: encodeNetdevChain({ ...chain, name: hook }) }]
  })
}

function ownTable(): string {
  return PREFIX + String(process.pid)
}

function commands(
  family: number,
  chains: readonly OwnChain[],
  rules: readonly (readonly Expression[])[],
  flags: number
): readonly Request[] {
  const table = ownTable()
  return [
    command(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, encodeTable({ family, name: table, flags, use: 0 })),
    ...chains.flatMap(({ name, payload }) => [
      command(NFT_MSG_NEWCHAIN, NLM_F_CREATE, payload),
      ...rules.map(expressions =>
        command(
          NFT_MSG_NEWRULE,
          NLM_F_CREATE | NLM_F_APPEND,
          encodeRule({ family, table, chain: name, handle: 0, expressions, comment: COMMENT })
        )
      )
    ])
  ]
}

function command(message: number, flags: number, payload: Uint8Array): Request {
  const type = nfType(NFNL_SUBSYS_NFTABLES, message)
  return { operation: 'trace', object: ownTable(), type, flags, payload, answer: 'acknowledgement' }
}

function removeTable(conn: Conn, family: number, name: string): void {
  const refused = conn.transact([command(NFT_MSG_DELTABLE, 0, encodeTableName(family, name))], undefined)
  // ENOENT: it is gone. The rest is a kernel without the family.
  if (refused !== undefined && refused.errno === 'EPERM')
    throw new KernelError('remove', `table ${name}`, refused.errno, refused.explanation)
}

interface Leftover {
  readonly family: number
  readonly name: string
}

/** Tables of traces whose process is no more; none where the kernel has no nf_tables, or without root. */
export function leftovers(namespaceFd: number): readonly Leftover[] {
  const conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  try {
    return dumpOrNone(conn, 'tables', NFT_MSG_GETTABLE, encodeTableName(NFPROTO_UNSPEC, ''))
      .map(payload => decodeTable(payload))
      .filter(({ name }) => isOwnTable(name) && !isAlive(name.slice(PREFIX.length)))
  } finally {
    conn.close()
  }
}

/** None where the kernel has no such thing, or does not say. */
function dumpOrNone(conn: Conn, object: string, message: number, payload: Uint8Array): readonly Uint8Array[] {
  try {
    return conn.dump('list', object, nfType(NFNL_SUBSYS_NFTABLES, message), payload)
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return []
  }
}

export function removeLeftovers(namespaceFd: number): void {
  const found = leftovers(namespaceFd)
  if (found.length === 0) return
  const conn = connectToKernel(NETLINK_NETFILTER, namespaceFd)
  try {
    for (const { family, name } of found) removeTable(conn, family, name)
  } finally {
    conn.close()
  }
}

function isAlive(pid: string): boolean {
  return /^[0-9]+$/.test(pid) && existsSync(`/proc/${pid}`)
}
