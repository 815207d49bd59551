/**
 * Plugins that add something to an interface which another plugin of the chain has made: portmap, firewall, bandwidth, sbr,
 * tuning, vrf. They take no addresses and hand the result on.
 */
import type { Plugin, Request } from '../cni/plugin.ts'
import type { Result } from '../cni/result.ts'
import type { Json } from '../config/json.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Records } from '../state/records.ts'
import { attachmentPlugin, forget, nothing, oneByOne } from './attachment-plugin.ts'
import type { Session } from './session.ts'

/** As AttachmentPlugin has it. */
export interface ChainedPlugin {
  readonly name: string
  readonly since: string
  readonly isExclusive: boolean
  readonly records: (request: Request, plugin: string) => Records
  readonly add: (session: Session) => Result
  readonly check: (session: Session) => readonly string[]
  /** Removes what ADD made. */
  readonly remove: (session: Session, entry: Json | undefined) => void
  readonly collectStrays: (session: Session) => void
  readonly status: (session: Session) => void
}

export function chainedPlugin(kernel: Kernel, own: ChainedPlugin): Plugin {
  return attachmentPlugin(kernel, {
    name: own.name,
    since: own.since,
    hasAddresses: false,
    isExclusive: own.isExclusive,
    records: own.records,
    add: own.add,
    check: own.check,
    removeRules: own.remove,
    removeLinks: nothing,
    removeLinksTogether: oneByOne,
    forget,
    collectStrays: own.collectStrays,
    status: own.status
  })
}

/** Removes what an ADD of the same attachment made before it was killed. */
export function removeEarlier(session: Session, remove: (session: Session, entry: Json | undefined) => void): void {
  const entry = session.journal.read(session.request)
  if (entry === undefined) return
  session.attempt(() => remove(session, entry))
  session.steps.finish()
}
