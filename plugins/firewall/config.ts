/** What firewall is told, and what of it the host can do. */
import type { Request } from '../../lib/cni/plugin.ts'
import { isFirewalldRunning } from '../../lib/firewalld/firewalld.ts'
import { findIptables, hasLegacyTable, iptablesPolicy } from '../../lib/iptables/iptables.ts'
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
}

const DEFAULT_ADMIN_CHAIN = 'CNI-ADMIN'
const DEFAULT_ZONE = 'trusted'

/** @throws {ConfigError} naming every wrong key with its value */
export function readConfig(request: Request): Config {
  const section = request.config
  // The empty string asks for the choice, as nerdctl writes it.
  const backend = section.oneOf('backend', ['', 'nftables', 'iptables', 'firewalld']) ?? ''
  const policy = section.oneOf('ingressPolicy', ['', 'open', 'same-bridge', 'isolated']) ?? ''
  const config: Config = {
    backend: backend === '' ? undefined : backendOf(backend),
    adminChain: nonEmpty(section.text('iptablesAdminChainName'), DEFAULT_ADMIN_CHAIN),
    zone: nonEmpty(section.text('firewalldZone'), DEFAULT_ZONE),
    policy: policyOf(policy)
  }
  section.finish()
  if (config.backend === 'iptables' && !hasIptables()) {
    throw section.unsupported('backend', 'neither iptables nor ip6tables is installed')
  }
  return config
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

export function hasIptables(): boolean {
  return findIptables(4) !== undefined || findIptables(6) !== undefined
}

/**
 * firewalld where it runs. Else, where another tool lets nothing be forwarded that it doesn't know (Docker does), its
 * own table is the only place for an exception: an accept in a table of ours doesn't keep the packet from its drop.
 */
export function chooseBackend(nft: Nft): Backend {
  if (isFirewalldRunning()) return 'firewalld'
  return hasIptables() && dropsForwarded(nft) ? 'iptables' : 'nftables'
}

function dropsForwarded(nft: Nft): boolean {
  if (nft.findChain('ip', 'filter', 'FORWARD')?.hook?.policy === 'drop') return true
  if (nft.findChain('ip6', 'filter', 'FORWARD')?.hook?.policy === 'drop') return true
  return hasLegacyTable('filter') && iptablesPolicy(4, '-legacy', 'filter', 'FORWARD') === 'DROP'
}
