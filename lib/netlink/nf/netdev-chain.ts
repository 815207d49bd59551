/**
 * Base chains of family netdev, which the kernel calls for what comes in by a device, before any other chain, or leaves by it.
 *
 *     chain early { type filter hook ingress device "eth0" priority 0; policy accept; }
 *
 * Apart from chain.ts: no plugin has any.
 *
 * @source linux/netfilter/nf_tables.h enum nft_chain_attributes, enum nft_hook_attributes, enum nft_devices_attributes;
 *   linux/netfilter.h NFPROTO_NETDEV, enum nf_dev_hooks
 */
import { encodeRows, nest, type Rows } from '../rows.ts'
import { IFNAMSIZ } from '../rt/link.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'

export const NFPROTO_NETDEV = 5
/** NF_NETDEV_*, by number; `egress` since Linux 5.16. */
export const NETDEV_HOOKS = ['ingress', 'egress']

interface NetdevHook {
  readonly number: number | undefined
  readonly priority: number | undefined
  readonly devices: Devices | undefined
}

interface Devices {
  readonly names: readonly string[]
}

export interface NetdevChain {
  readonly family: number
  readonly table: string
  readonly name: string
  /** `filter`; '' of a chain that is jumped to. */
  readonly type: string
  /** Where NETDEV_HOOKS has its name; undefined of a chain that is jumped to. */
  readonly hook: number | undefined
  /** Lower numbers are called first. */
  readonly priority: number
  readonly devices: readonly string[]
}

interface ChainMessage {
  readonly family: number
  readonly table?: string | undefined
  readonly name?: string | undefined
  readonly type?: string | undefined
  readonly place?: NetdevHook | undefined
}

function chainRows(rows: Rows, chain: ChainMessage): ChainMessage {
  const nowhere: NetdevHook = { number: undefined, priority: undefined, devices: undefined }
  return {
    family: familyRows(rows, chain.family),
    table: rows.text(1, 'NFTA_CHAIN_TABLE', chain.table, NFT_NAME_MAXLEN),
    name: rows.text(3, 'NFTA_CHAIN_NAME', chain.name, NFT_NAME_MAXLEN),
    type: rows.text(7, 'NFTA_CHAIN_TYPE', chain.type, NFT_NAME_MAXLEN),
    place: nest(rows.at(4, 'NFTA_CHAIN_HOOK'), chain.place, nowhere, placeRows)
  }
}

function placeRows(rows: Rows, place: NetdevHook): NetdevHook {
  return {
    number: rows.u32be(1, 'NFTA_HOOK_HOOKNUM', place.number),
    priority: rows.i32be(2, 'NFTA_HOOK_PRIORITY', place.priority),
    devices: nest(rows.at(4, 'NFTA_HOOK_DEVS'), place.devices, { names: [] }, devicesRows)
  }
}

function devicesRows(rows: Rows, { names }: Devices): Devices {
  return { names: rows.texts(1, 'NFTA_DEVICE_NAME', names, IFNAMSIZ) }
}

/** For NEWCHAIN. */
export function encodeNetdevChain({ family, table, name, type, hook, priority, devices }: NetdevChain): Uint8Array {
  const place = { number: hook, priority, devices: { names: devices } }
  return encodeRows({ family, table, name, type, place }, chainRows)
}

/** @throws {DecodeError} */
export function decodeNetdevChain(payload: Uint8Array): NetdevChain {
  const { family, table, name, type, place } = chainRows(readingNfRows(payload), { family: 0 })
  return {
    family,
    table: table ?? '',
    name: name ?? '',
    type: type ?? '',
    hook: place?.number,
    priority: place?.priority ?? 0,
    devices: place?.devices?.names ?? []
  }
}
