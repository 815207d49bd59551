/** Whether the host's kernel has nf_tables: STATUS's question. */
import { CniError, NOT_AVAILABLE } from '../cni/error.ts'
import { messageOf } from '../sys/errors.ts'
import type { Session } from './session.ts'

/**
 * @param what needs it, with the verb: `port mappings need`
 * @throws {CniError} code 50 when it has not
 */
export function requireNftables(session: Session, what: string): void {
  try {
    session.nft().generation()
  } catch (error) {
    throw new CniError(NOT_AVAILABLE, messageOf(error), `${what} nf_tables in the kernel (CONFIG_NF_TABLES)`)
  }
}
