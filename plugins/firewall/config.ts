/** What firewall is told, and what of it the host can do. */
import type { Request } from '../../lib/cni/plugin.ts'
import { isFirewalldRunning } from '../../lib/firewalld/firewalld.ts'
import { readChainName } from '../../lib/iptables/chain-name.ts'
import {
  type Engine,
  findIptables,
  hasIptables,
  hasLegacyTable,
  iptablesPolicy,
  isLegacy
} from '../../lib/iptables/iptables.ts'
import type { Nft } from '../../lib/nft/nft.ts'

export type Backend = 'nftables' | 'iptables' | 'firewalld'

/** Who may open connections to a container: everybody; its own bridge and the outside; the outside alone. */
export type IngressPolicy = 'open' | 'same-bridge' | 'isolated'

export interface Config {
  /** undefined = choose */
  readonly backend: Backend | undefined
  /** iptables: a chain for the administrator's rules, which are never touched. */
  readonly adminChain: string
  readonly zone: string
  readonly policy: IngressPolicy
  /** Whether who routes to the container's own address from outside may open connections to ports that aren't published. */
  readonly isRouted: boolean
}

const FAMILIES: readonly (4 | 6)[] = [4, 6]
const DEFAULT_ADMIN_CHAIN = 'CNI-ADMIN'
const DEFAULT_ZONE = 'trusted'
/** A jump from one of them to itself, or to one that leads to it, would be a circle. */
const OWN_CHAINS: readonly string[] = ['CNI-FORWARD', 'CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2']

/** @throws {ConfigError} naming every wrong key with its value */
export function readConfig(request: Request): Config {
  const section = request.config
  // The empty string asks for the choice, as nerdctl writes it.
  const backend = section.oneOf('backend', ['', 'nftables', 'iptables', 'firewalld']) ?? ''
  const policy = section.oneOf('ingressPolicy', ['', 'open', 'same-bridge', 'isolated']) ?? ''
  const config: Config = {
    backend: backend === '' ? undefined : backendOf(backend),
    adminChain: nonEmpty(readChainName(section, 'iptablesAdminChainName'), DEFAULT_ADMIN_CHAIN),
    zone: nonEmpty(section.text('firewalldZone'), DEFAULT_ZONE),
    policy: policyOf(policy),
    isRouted: section.boolean('directRouting', true)
  }
  if (OWN_CHAINS.some(one => one === config.adminChain)) {
    section.problem('iptablesAdminChainName', 'must not be a chain of this plugin')
  }
  if (!config.isRouted && config.policy === 'open') {
    section.problem(
      'directRouting',
      'needs an ingressPolicy: with "open" the bridges of this host count as outside, too'
    )
  }
  section.finish()
  return config
}

/** @throws {ConfigError} when the host does not have the backend that is asked for */
export function requireBackend(request: Request, config: Config): void {
  const missing = missingBackend(config)
  if (missing !== '') throw request.config.unsupported('backend', missing)
}

/** What the host lacks of the backend that is asked for; '' when nothing. */
export function missingBackend(config: Config): string {
  if (config.backend === 'iptables' && !hasIptables()) return 'neither iptables nor ip6tables is installed'
  return config.backend === 'firewalld' && !isFirewalldRunning() ? 'it is not on the system bus' : ''
}

function nonEmpty(text: string | undefined, fallback: string): string {
  return text === undefined || text === '' ? fallback : text
}

export function backendOf(text: string): Backend {
  if (text === 'iptables') return 'iptables'
  return text === 'firewalld' ? 'firewalld' : 'nftables'
}

export function policyOf(text: string): IngressPolicy {
  if (text === 'same-bridge') return 'same-bridge'
  return text === 'isolated' ? 'isolated' : 'open'
}

/**
 * firewalld where it runs. Else, where another tool lets nothing be forwarded that it doesn't know (Docker does), its
 * own table is the only place for an exception: an accept in a table of ours doesn't keep the packet from its drop.
 */
export function chooseBackend(nft: Nft): Backend {
  if (isFirewalldRunning()) return 'firewalld'
  return hasIptables() && (dropsForwarded(nft) || legacyDropsForwarded()) ? 'iptables' : 'nftables'
}

/**
 * The packet filters that exceptions are made in: that of the host's own iptables, and the older one where that drops.
 * An accept in one of them doesn't keep a packet from the other's drop.
 */
export function enginesFor(family: 4 | 6): readonly Engine[] {
  const engines: Engine[] = findIptables(family) === undefined ? [] : ['']
  if (legacyDropsForwarded() && findIptables(family, '-legacy') !== undefined && !isLegacy(family))
    engines.push('-legacy')
  return engines
}

function dropsForwarded(nft: Nft): boolean {
  if (nft.findChain('ip', 'filter', 'FORWARD')?.hook?.policy === 'drop') return true
  return nft.findChain('ip6', 'filter', 'FORWARD')?.hook?.policy === 'drop'
}

function legacyDropsForwarded(): boolean {
  if (!hasLegacyTable('filter')) return false
  return FAMILIES.some(family => iptablesPolicy(family, '-legacy', 'filter', 'FORWARD') === 'DROP')
}
