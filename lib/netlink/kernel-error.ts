/** What the kernel refuses, as values a plugin can tell apart by code. */
import { SysError } from '../sys/errors.ts'

/**
 * A request that the kernel refused: `add link "veth0": EEXIST (File exists)`.
 *
 * `errno` is the symbol to match on. The explanation ends with the kernel's own sentence (NETLINK_EXT_ACK) where it gave
 * one; it changes between kernel versions and is for people only.
 */
export class KernelError extends SysError {
  constructor(operation: string, object: string, errno: string, explanation: string) {
    super(operation, object, errno, explanation)
    this.name = 'KernelError'
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
  return error ?? new KernelError('refuse', 'a request', 'EIO', 'without a reason')
}
