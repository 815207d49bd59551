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

/**
 * An error to throw, where its variable may hold none: `throw thrown(refusal)`.
 *
 * The native compiler (scriptc 0.1.7) loses the class of an error that is thrown from a variable of type
 * `KernelError | undefined`, narrowed or not; the catch then sees an Error of no class and without errno. What a function
 * returns keeps its class.
 */
export function thrown(error: KernelError | undefined): KernelError {
  return error ?? new KernelError('refuse', 'a request', 'EIO', 'without a reason', '')
}
