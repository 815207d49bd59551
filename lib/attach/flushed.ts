/** A host whose rules somebody has flushed: what is made again for attachments, and for which. */
import { ownerText } from '../attachment.ts'
import type { Net } from '../net/net.ts'
import type { Nft } from '../nft/nft.ts'
import type { Session } from './session.ts'

export interface Flushed {
  readonly host: Net
  readonly nft: Nft
  /** Where attachments are written down; absent or '' for the usual place. */
  readonly stateDir: string | undefined
  /** `ownerText` of who makes its own; '' = nobody */
  readonly except: string
}

/** As an ADD finds it, which makes its own rules itself. */
export function flushedFor(session: Session): Flushed {
  const { host, request } = session
  return { host, nft: session.nft(), stateDir: request.config.text('stateDir'), except: ownerText(request) }
}
