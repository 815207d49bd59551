/** Where hosts tell each other of their endpoints: etcd (etcd-registry.ts), or a file (file-registry.ts). */
import type { AddressOwner } from './endpoint.ts'

/** One entry of what is followed. `name` is its key below the place followed. */
export interface Entry {
  readonly name: string
  readonly value: string
  readonly revision: number
}

/** Hears what is there, and from then on every change. */
export interface Follower {
  /** All of it: at the beginning, and whenever changes may have been missed. */
  readonly reset: (entries: readonly Entry[]) => void
  /** `value` is undefined for what has gone. */
  readonly change: (name: string, value: string | undefined, revision: number) => void
  /** After a batch of changes. */
  readonly settled: () => void
}

export interface Following {
  /** Resolves when the first `reset` has come. @throws AgentFailure code 11 when that takes too long */
  readonly whenSynced: (milliseconds: number) => Promise<void>
  readonly stop: () => void
}

/** What this host wants the registry to have, whenever the registry asks: it may have lost it. */
export interface OwnRecords {
  /** Key below the registry's prefix, and value. */
  readonly endpoints: () => ReadonlyMap<string, string>
  readonly addresses: () => ReadonlyMap<string, string>
  /** Somebody else has taken an address of ours while this host was cut off. */
  readonly onConflict: (key: string, owner: string) => void
}

export interface Registry {
  /** It does not know every endpoint: tunnels have to learn. */
  readonly learns: boolean
  readonly start: () => void
  readonly stop: () => Promise<void>
  /** Why it cannot be asked now; '' when it can. */
  readonly trouble: () => string
  /** @throws AgentFailure code 11 with the reason when that takes too long */
  readonly whenReady: (milliseconds: number) => Promise<void>
  /** Follows all entries whose key begins so. */
  readonly follow: (prefix: string, follower: Follower) => Following
  /** Writes an endpoint, which goes away with this host. @returns the revision */
  readonly put: (key: string, value: string, milliseconds: number) => Promise<number>
  /** Removes keys as soon as the registry can be reached. */
  readonly forget: (keys: readonly string[]) => void
  /** Takes an address unless somebody else has it. @returns its owner when that is not `owner` */
  readonly claim: (key: string, owner: AddressOwner, milliseconds: number) => Promise<AddressOwner | undefined>
}

export function endpointPrefix(vni: number): string {
  return `endpoints/${vni}/`
}

/** No part holds a slash: names of networks, containers and interfaces cannot. */
export function endpointKey(
  vni: number,
  host: string,
  one: { readonly network: string; readonly containerId: string; readonly ifName: string }
): string {
  return `${endpointPrefix(vni)}${host}/${one.network}/${one.containerId}/${one.ifName}`
}

export function addressPrefix(pool: string): string {
  return `addresses/${pool}/`
}

export function addressKey(pool: string, ip: string): string {
  return `${addressPrefix(pool)}${ip}`
}
