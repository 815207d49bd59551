/** Where hosts tell each other of their endpoints: etcd (etcd-registry.ts), or a file (file-registry.ts). */

import type { Attachment } from '../lib/attachment.ts'
import { CniError, TRY_AGAIN_LATER } from '../lib/cni/error.ts'
import { FORMAT, FormatError } from '../lib/config/format.ts'
import type { AddressOwner } from './endpoint.ts'

/** One entry of what is followed. `name` is its key below the place followed. */
export interface Entry {
  readonly name: string
  readonly value: string
  readonly revision: number
}

/** All that was there at a revision. */
export interface Reading {
  readonly entries: readonly Entry[]
  readonly revision: number
}

interface KeyAndValue {
  readonly key: string
  readonly value: string
  readonly modRevision: number
}

/** The names are what follows the prefix. */
export function readingOf(
  all: Omit<Reading, 'entries'> & { readonly entries: readonly KeyAndValue[] },
  prefix: string
) {
  const named = all.entries.map(one => ({
    name: one.key.slice(prefix.length),
    value: one.value,
    revision: one.modRevision
  }))
  return { entries: named, revision: all.revision } satisfies Reading
}

/** Hears what is there, and from then on every change. */
export interface Follower {
  /**
   * All of it: at the beginning, and whenever changes may have been missed.
   *
   * @param keepRest the registry has lost its memory and may not know everything yet: what is not among the entries stays,
   *   and is older than they are
   * @param revision the registry's own, as of which the entries are all there is
   */
  readonly reset: (entries: readonly Entry[], keepRest: boolean, revision: number) => void
  /** `value` is undefined for what has gone. */
  readonly change: (name: string, value: string | undefined, revision: number) => void
  /** After a batch of changes. */
  readonly settled: () => void
}

export interface Following {
  /** Resolves when the first `reset` has come. @throws CniError code 11 when that takes too long */
  readonly whenSynced: (milliseconds: number) => Promise<void>
  readonly stop: () => void
}

/** What this host wants the registry to have, whenever the registry asks: it may have lost it. */
export interface OwnRecords {
  /** Values by their keys below the registry's prefix: what this host alone writes. */
  readonly values: () => ReadonlyMap<string, string>
  /** Addresses and names by their keys, which one host at a time may have. */
  readonly claims: () => ReadonlyMap<string, AddressOwner>
  /** Somebody else has taken an address or a name of ours while this host was cut off. */
  readonly onConflict: (key: string, owner: AddressOwner) => void
}

/**
 * A condition: nothing whose key begins so was written after that revision (0 = nothing is there), or a key is there as it was
 * written at that revision.
 */
export type Unchanged =
  | { readonly under: string; readonly since: number }
  | { readonly key: string; readonly since: number }

/** A value that is no host's: it stays when the host that wrote it goes. */
export interface Shared {
  readonly key: string
  /** undefined removes it. */
  readonly value: string | undefined
}

export interface Registry {
  /** It does not know every endpoint: tunnels have to learn. */
  readonly learns: boolean
  readonly start: () => void
  readonly stop: () => Promise<void>
  /**
   * Why it cannot be asked now; '' when it can.
   *
   * @param network about a network: an agent that is alone serves those made on it
   */
  readonly trouble: (network?: string) => string
  /** @throws CniError code 11 with the reason when that takes too long */
  readonly whenReady: (milliseconds: number) => Promise<void>
  /** Follows all entries whose key begins so. */
  readonly follow: (prefix: string, follower: Follower) => Following
  /** Writes a value, which goes away with this host. @returns the revision */
  readonly put: (key: string, value: string, milliseconds: number) => Promise<number>
  /** Removes keys as soon as the registry can be reached. */
  readonly forget: (keys: readonly string[]) => void
  /** Resolves when it has removed what it was to forget by now, and at the latest then; at once while it cannot be reached. */
  readonly forgotten: (milliseconds: number) => Promise<void>
  /** The value as of now. @throws CniError code 11 */
  readonly value: (key: string, milliseconds: number) => Promise<string | undefined>
  /** Everything whose key begins so, as of now; the names are what follows. @throws CniError code 11 */
  readonly read: (prefix: string, milliseconds: number) => Promise<Reading>
  /**
   * Writes or removes shared values, if all conditions hold, in one transaction with them. Its answer may get lost: whoever is
   * told that a condition fails has to look whether it was this very call that has made it fail.
   *
   * @returns the revision; undefined when a condition does not hold
   * @throws CniError code 11; 51 where the registry cannot keep such values
   */
  readonly share: (
    all: readonly Shared[],
    conditions: readonly Unchanged[],
    milliseconds: number
  ) => Promise<number | undefined>
  /** Takes an address or a name unless somebody else has it. @returns its owner when that is not `owner` */
  readonly claim: (key: string, owner: AddressOwner, milliseconds: number) => Promise<AddressOwner | undefined>
}

/**
 * Of which form all the rest is: a number, as in files (lib/config/format.ts); where it is absent, 1. It is the cluster's: whoever writes
 * a greater one has seen to it that every host can read that.
 */
export const FORMAT_KEY = 'format'

/** @throws {FormatError} for the form of a registry that this agent does not know */
export function refuseNewerRegistry(value: string): void {
  if (!(Number(value) <= FORMAT)) throw new FormatError('the registry', value.slice(0, 20))
}

export function endpointPrefix(vni: number): string {
  return `endpoints/${vni}/`
}

/** No part holds a slash: names of networks, containers and interfaces cannot. */
export function endpointKey(vni: number, host: string, one: Attachment): string {
  return `${endpointPrefix(vni)}${host}/${one.network}/${one.containerId}/${one.ifName}`
}

/** Networks of the cluster, which are shared: see agent/networks. */
export const NETWORKS = 'networks/'

export function addressPrefix(pool: string): string {
  return `addresses/${pool}/`
}

export function addressKey(pool: string, ip: string): string {
  return `${addressPrefix(pool)}${ip}`
}

export function namePrefix(network: string): string {
  return `names/${network}/`
}

export function nameKey(host: string, one: Attachment): string {
  return `${namePrefix(one.network)}${host}/${one.containerId}/${one.ifName}`
}

const NAME_OWNERS = 'name-owners/'

/** Who has a name on a network. */
export function nameClaimKey(network: string, name: string): string {
  return `${NAME_OWNERS}${network}/${name}`
}

/** Services, which are shared: see agent/services. */
export const SERVICES = 'services/'

/** Published ports that hosts do not have: see agent/services/port-conflicts.ts. */
export const PORT_CONFLICTS = 'port-conflicts/'

export function isClaimOfName(key: string): boolean {
  return key.startsWith(NAME_OWNERS)
}

/** The registry cannot be asked at the moment. */
export function registryAway(reason: string): CniError {
  return new CniError(
    TRY_AGAIN_LATER,
    `reach the registry: ${reason}`,
    'containers that run go on; new ones can be attached when the registry is back'
  )
}
