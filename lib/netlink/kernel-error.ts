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
