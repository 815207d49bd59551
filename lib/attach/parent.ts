/** The interface that an attachment sits on: the physical one below a macvlan, ipvlan or VLAN. */
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../cni/error.ts'
import type { Section } from '../config/section.ts'
import { defaultLinkIndex } from '../net/default-route.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'

/** The smallest MTU that IPv4 works with. @source RFC 791, "Total Length" (68 octets every module must forward) */
const SMALLEST_MTU = 68
const LARGEST_MTU = 65_535

/** What the configuration says about the interface below. */
export interface ParentConfig {
  /** undefined = the one that the default route leads through */
  readonly master: string | undefined
  /** Whether it is in the container instead of on the host. */
  readonly isInContainer: boolean
  /** bytes; undefined = as the interface below */
  readonly mtu: number | undefined
  /** A VLAN that is made when it is not there: see vlan-master.ts. */
  readonly isCreated: boolean
}

/** Reads `master`, `linkInContainer` and `mtu`. An MTU of 0 means none, as runtimes write what they don't set. */
export function readParentConfig(config: Section): ParentConfig {
  return {
    master: presentText(config, 'master'),
    isInContainer: config.boolean('linkInContainer', false),
    mtu: readMtu(config),
    isCreated: false
  }
}

/** The key `mtu`, in bytes; 0 counts as absent. */
export function readMtu(config: Section): number | undefined {
  const mtu = config.integer('mtu', 0, LARGEST_MTU)
  if (mtu === undefined || mtu === 0) return undefined
  if (mtu < SMALLEST_MTU) config.problem('mtu', `must be 0 or at least ${String(SMALLEST_MTU)}`)
  return mtu
}

/** A text; '' counts as absent. */
export function presentText(config: Section, key: string): string | undefined {
  const text = config.text(key)
  return text === '' ? undefined : text
}

/**
 * The link to sit on, fit for what is configured.
 *
 * @param net the namespace to look in
 * @throws CniError code 7 when there is none of that name, no default route to tell it, or its MTU is too small
 */
export function getParent(net: Net, config: ParentConfig): Link {
  const parent = findParent(net, config)
  if (parent === undefined) throw new CniError(INVALID_CONFIG, absence(config), advice(config))
  if (config.mtu !== undefined && config.mtu > parent.mtu) {
    const message = `mtu must be at most ${String(parent.mtu)}, that of master ${JSON.stringify(parent.name)}, got ${String(config.mtu)}`
    throw new CniError(INVALID_CONFIG, message, 'lower mtu, leave it out, or raise the MTU of the master')
  }
  return parent
}

/** @throws CniError code 50 (STATUS) when an ADD would not find the link to sit on */
export function requireParent(host: Net, config: ParentConfig): void {
  // Which link of which container only the next ADD will tell.
  if (config.isInContainer || findParent(host, config) !== undefined) return
  throw new CniError(NOT_AVAILABLE, absence(config), advice(config))
}

/**
 * Whether a container's link sits on `parent`: CHECK's question.
 *
 * @param below the namespace that `parent` is in
 * @returns the difference as a sentence; empty when there is none
 */
export function parentProblems(link: Link, container: Net, below: Net, parent: Link): readonly string[] {
  // An index means something only together with its namespace: 2 is somebody's eth0 in every one of them.
  const expectedId = below.isSameAs(container) ? undefined : container.findNetnsId(below)
  if (link.parentIndex === parent.index && link.linkNetnsId === expectedId) return []
  return [`link ${JSON.stringify(link.name)} is not on master ${JSON.stringify(parent.name)}`]
}

function findParent(net: Net, config: ParentConfig): Link | undefined {
  return config.master === undefined ? findDefaultLink(net) : net.links.find(config.master)
}

/** The link of the default route: IPv4's if there is one, of several the one that the kernel prefers. */
function findDefaultLink(net: Net): Link | undefined {
  const index = defaultLinkIndex(net, 4) ?? defaultLinkIndex(net, 6)
  return index === undefined ? undefined : net.links.findByIndex(index)
}

function absence(config: ParentConfig): string {
  const where = config.isInContainer ? 'in the container' : 'on the host'
  return config.master === undefined
    ? `find master: no default route ${where}`
    : `find master ${JSON.stringify(config.master)}: no such link ${where}`
}

function advice(config: ParentConfig): string {
  return config.master === undefined
    ? 'name the interface in the key "master"'
    : 'create the interface or correct the key "master"'
}
