/** Everything that plugins can make again in the host's tables, as they have written it down, when somebody has flushed those. */
import type { Flushed } from '../lib/attach/flushed.ts'
import { restoreMasquerade } from '../lib/attach/masquerade.ts'
import { restoreSpoofChecks } from './bridge/spoof.ts'
import { restoreOthers as restoreFirewall } from './firewall/restore.ts'
import { restorePublished } from './portmap/restore.ts'

export interface Restorer {
  /** Our own tables, which are gone after a flush. */
  readonly tables: readonly string[]
  /** The tables of iptables that it has rules in. */
  readonly iptables: readonly string[]
  /** To be called under the lock of the host's namespace. What of it is there stays as it is. */
  readonly restore: (flushed: Flushed) => void
}

export const RESTORERS: readonly Restorer[] = [
  { tables: ['patchbay-portmap', 'patchbay-localhost'], iptables: ['nat'], restore: restorePublished },
  { tables: ['patchbay-firewall'], iptables: ['filter'], restore: restoreFirewall },
  { tables: ['patchbay-masquerade'], iptables: ['nat'], restore: restoreMasquerade },
  { tables: ['patchbay-spoof-check'], iptables: [], restore: restoreSpoofChecks }
]
