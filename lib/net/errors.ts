/**
 * What the kernel refuses, as values a plugin can tell apart by code.
 */
import { SysError } from '../sys/errors.ts'

export { asError, errnoOf, messageOf, SysError } from '../sys/errors.ts'
export { NetnsError, type NetnsReason } from '../sys/netns.ts'

/**
 * A request that the kernel refused: `add link "veth0": EEXIST (File exists)`.
 *
 * `errno` is the symbol to match on; `extack` is the kernel's own sentence (NETLINK_EXT_ACK), which changes
 * between kernel versions and is for people only.
 */
export class KernelError extends SysError {
  /** The kernel's extended-ack text, the empty string when it gave none. */
  readonly extack: string

  constructor(operation: string, object: string, errno: string, explanation: string, extack: string) {
    super(
      operation,
      object,
      errno,
      explanation === '' || extack === '' ? explanation + extack : `${explanation}; ${extack}`
    )
    this.name = 'KernelError'
    this.extack = extack
  }
}
