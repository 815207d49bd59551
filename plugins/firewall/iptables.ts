/**
 * Exceptions and isolation by iptables, in the chains and comments of the reference plugin:
 *
 *     *filter
 *     -A FORWARD -m comment --comment "CNI firewall plugin rules (ingressPolicy: same-bridge)" -j CNI-ISOLATION-STAGE-1
 *     -A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
 *     -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
 *     -A CNI-FORWARD -d 10.4.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
 *     -A CNI-FORWARD -s 10.4.0.2/32 -j ACCEPT
 *     -A CNI-ISOLATION-STAGE-1 -i cni0 ! -o cni0 … -j CNI-ISOLATION-STAGE-2
 *     -A CNI-ISOLATION-STAGE-1 … -j RETURN
 *     -A CNI-ISOLATION-STAGE-2 -o cni0 … -j DROP
 *     -A CNI-ISOLATION-STAGE-2 … -j RETURN
 *
 * `isolated` adds `-A CNI-ISOLATION-STAGE-1 -i cni0 -o cni0 … -j DROP`; on an overlay network's bridge there is also
 * `-A CNI-FORWARD -d 10.42.0.2/32 -i br-vx42 -o br-vx42 -j ACCEPT`: with br_netfilter, frames of containers on other hosts
 * pass these chains, and nobody here has told of those containers.
 */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { formatPrefix, hostPrefix } from '../../lib/ip/prefix.ts'
import { isPlainInterface } from '../../lib/iptables/chain-name.ts'
import {
  argument,
  changeIptables,
  commentMatch,
  type Engine,
  findIptables,
  hasChain,
  hasLegacyTable,
  isLegacy,
  optionOf,
  rulesOf,
  saveIptables,
  withIptablesLock
} from '../../lib/iptables/iptables.ts'
import { restoreIptables } from '../../lib/iptables/restore.ts'
import { enginesFor, type IngressPolicy } from './config.ts'

const FORWARD = 'CNI-FORWARD'
const STAGE_1 = 'CNI-ISOLATION-STAGE-1'
const STAGE_2 = 'CNI-ISOLATION-STAGE-2'
const FAMILIES: readonly (4 | 6)[] = [4, 6]

const RULES = 'CNI firewall plugin rules'

/** What one container has in the filter table. */
export interface Exceptions {
  readonly addresses: readonly IpAddress[]
  readonly adminChain: string
  readonly policy: IngressPolicy
  readonly interfaces: readonly string[]
  readonly overlay: string | undefined
}

/**
 * Sequence prevented: a bridge `br"x` is isolated; iptables prints the rule, and reads it back as another one; it cannot be removed
 * any more, nor any other with it.
 *
 * @throws {CniError} code 7 for an interface whose name iptables takes for something else
 */
export function requirePlainNames({ policy, interfaces, overlay }: Exceptions): void {
  const named = policy === 'open' ? [] : interfaces
  for (const name of overlay === undefined ? named : named.concat([overlay])) {
    if (isPlainInterface(name)) continue
    const message = `name interface ${JSON.stringify(name)} in a rule of iptables: it would mean another`
    throw new CniError(
      INVALID_CONFIG,
      message,
      'give it a name of letters, digits and _.@+-, or set "backend": "nftables"'
    )
  }
}

/**
 * Adds what is missing.
 *
 * @returns whether nothing led to the chain of exceptions before: nobody had needed it, or somebody has taken the rules away
 */
export function allowByIptables(exceptions: Exceptions): boolean {
  return withIptablesLock(() => {
    let isFirst = false
    for (const { family, engine } of placesFor(exceptions)) {
      const saved = saveIptables(family, 'filter', engine)
      isFirst = isFirst || !rulesOf(saved, 'FORWARD').some(rule => optionOf(rule, '-j') === FORWARD)
      changeIptables(family, 'filter', missingFor(saved, exceptions, family), engine)
    }
    return isFirst
  })
}

function missingFor(saved: readonly string[], exceptions: Exceptions, family: 4 | 6): readonly string[] {
  return missingExceptions(saved, exceptions, family).concat(missingIsolation(saved, exceptions))
}

/** A container that has lost its exceptions. */
export interface Excepted {
  /** `ownerText` */
  readonly owner: string
  readonly exceptions: Exceptions
}

/** Adds again what containers have lost. */
export function allowAgain(lost: readonly Excepted[]): void {
  withIptablesLock(() => {
    for (const family of FAMILIES) {
      const here = lost.filter(({ exceptions }) => exceptions.addresses.some(one => one.family === family))
      const own = here.map(one => ({
        what: `make the exceptions of ${one.owner}`,
        linesFor: (saved: readonly string[]) => missingFor(saved, one.exceptions, family)
      }))
      for (const engine of own.length === 0 ? [] : enginesFor(family)) {
        restoreIptables({ family, table: 'filter', engine }, own)
      }
    }
    return true
  })
}

/** Where a container is. */
export interface Located {
  readonly addresses: readonly IpAddress[]
  readonly interfaces: readonly string[]
}

/**
 * Removes the container's exceptions, and the isolation of its bridges that no other container needs.
 *
 * @param others those that may need it. Of two that go at the same time each knows the other still: only who has
 *   exceptions, while we hold the lock, is there to stay
 */
export function forbidByIptables(leaving: Located, others: readonly Located[]): void {
  const { addresses, interfaces } = leaving
  withIptablesLock(() => {
    for (const { family, engine } of usedPlaces()) {
      const saved = saveIptables(family, 'filter', engine)
      const own = addresses.filter(one => one.family === family)
      const exceptions = rulesOf(saved, FORWARD).filter(rule => own.some(one => isAbout(rule, one)))
      const staying = others.filter(other => other.addresses.some(one => saved.some(rule => isAbout(rule, one))))
      const unused = interfaces.filter(name => !staying.some(other => other.interfaces.some(one => one === name)))
      const all = exceptions.slice(0)
      for (const name of unused) for (const rule of isolationOf(saved, name)) all.push(rule)
      changeIptables(
        family,
        'filter',
        all.map(rule => `-D${rule.slice(2)}`),
        engine
      )
    }
    return true
  })
}

/** What is not as `allowByIptables` left it, as sentences. */
export function exceptionProblems(exceptions: Exceptions): readonly string[] {
  const problems: string[] = []
  for (const { family, engine } of placesFor(exceptions)) {
    const saved = saveIptables(family, 'filter', engine)
    const missing = missingFor(saved, exceptions, family)
    if (missing.length > 0) problems.push(`iptables rules are missing: ${missing.join('; ')}`)
  }
  return problems
}

/** A family's packets in one of the kernel's packet filters. */
interface FilterPlace {
  readonly family: 4 | 6
  readonly engine: Engine
}

/** Where the container needs exceptions: of its families, those that the host has a tool for. */
function placesFor(exceptions: Exceptions): readonly FilterPlace[] {
  const places: FilterPlace[] = []
  for (const family of FAMILIES) {
    if (!exceptions.addresses.some(one => one.family === family)) continue
    for (const engine of enginesFor(family)) places.push({ family, engine })
  }
  return places
}

/** Where an ADD may have made exceptions: what drops now need not be what dropped then. */
function usedPlaces(): readonly FilterPlace[] {
  const places: FilterPlace[] = []
  for (const family of FAMILIES) {
    if (findIptables(family) !== undefined) places.push({ family, engine: '' })
    const hasLegacy = hasLegacyTable('filter') && findIptables(family, '-legacy') !== undefined
    if (hasLegacy && !isLegacy(family)) places.push({ family, engine: '-legacy' })
  }
  return places
}

function missingExceptions(saved: readonly string[], exceptions: Exceptions, family: 4 | 6): string[] {
  const { adminChain } = exceptions
  const lines = [FORWARD, adminChain].filter(chain => !hasChain(saved, chain)).map(chain => `-N ${chain}`)
  const forward = rulesOf(saved, 'FORWARD').map(rule => optionOf(rule, '-j'))
  if (!forward.some(target => target === FORWARD)) {
    // First, but after the isolation, which would otherwise never see what the exceptions accept.
    const place = forward.indexOf(STAGE_1) + 2
    lines.push(`-I FORWARD ${String(place < 2 ? 1 : place)} ${commentMatch(RULES)} -j ${FORWARD}`)
  }
  if (!rulesOf(saved, FORWARD).some(rule => optionOf(rule, '-j') === adminChain)) {
    lines.push(`-I ${FORWARD} ${commentMatch('CNI firewall plugin admin overrides')} -j ${adminChain}`)
  }
  for (const address of exceptions.addresses.filter(one => one.family === family)) {
    for (const rule of exceptionRules(address).concat(overlayRules(address, exceptions.overlay)))
      if (!saved.some(one => one === rule)) lines.push(rule)
  }
  return lines
}

function exceptionRules(address: IpAddress): readonly string[] {
  const host = formatPrefix(hostPrefix(address))
  return [
    `-A ${FORWARD} -d ${host} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A ${FORWARD} -s ${host} -j ACCEPT`
  ]
}

/** From a container on another host, which keeps to this bridge. */
function overlayRules(address: IpAddress, bridge: string | undefined): readonly string[] {
  if (bridge === undefined) return []
  return [`${overlayBeginning(address)}${bridge} -o ${bridge} -j ACCEPT`]
}

function overlayBeginning(address: IpAddress): string {
  return `-A ${FORWARD} -d ${formatPrefix(hostPrefix(address))} -i `
}

function isAbout(rule: string, address: IpAddress): boolean {
  return exceptionRules(address).some(one => one === rule) || rule.startsWith(overlayBeginning(address))
}

function missingIsolation(saved: readonly string[], exceptions: Exceptions): string[] {
  if (exceptions.policy === 'open') return []
  const text = `${RULES} (ingressPolicy: ${exceptions.policy})`
  const lines = [STAGE_1, STAGE_2].filter(chain => !hasChain(saved, chain)).map(chain => `-N ${chain}`)
  const add = (command: string, chain: string, match: string, target: string): void => {
    const isThere = rulesOf(saved, chain).some(rule => matchOf(rule) === match && optionOf(rule, '-j') === target)
    const words = [command, chain, match, commentMatch(text), '-j', target].filter(word => word !== '')
    if (!isThere) lines.push(words.join(' '))
  }
  for (const name of exceptions.interfaces.map(one => argument(one))) {
    add('-I', STAGE_1, `-i ${name} ! -o ${name}`, STAGE_2)
    if (exceptions.policy === 'isolated') add('-I', STAGE_1, `-i ${name} -o ${name}`, 'DROP')
    add('-I', STAGE_2, `-o ${name}`, 'DROP')
  }
  add('-A', STAGE_1, '', 'RETURN')
  add('-A', STAGE_2, '', 'RETURN')
  add('-I', 'FORWARD', '', STAGE_1)
  return lines
}

/** The part of an isolation rule between chain and comment: `-i cni0 ! -o cni0`. */
function matchOf(rule: string): string {
  const words = rule.split(' ').slice(2)
  const end = words.findIndex(word => word === '-m' || word === '-j')
  return words.slice(0, end).join(' ')
}

/** As iptables reads them: an older version made them for names that it prints as they are. */
function isolationOf(saved: readonly string[], name: string): readonly string[] {
  const word = (one: string): string => (one === name ? argument(name) : one)
  return saved.filter(rule => isIsolationOf(rule, name)).map(rule => rule.split(' ').map(word).join(' '))
}

function isIsolationOf(rule: string, name: string): boolean {
  const chain = optionOf(rule, '-A')
  if (chain !== STAGE_1 && chain !== STAGE_2) return false
  return optionOf(rule, '-i') === name || optionOf(rule, '-o') === name
}
