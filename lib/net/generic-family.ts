/** Families of generic netlink, by their names. */
import { type Conn, refusal } from '../netlink/conn.ts'
import { decodeFamily, encodeGetFamily, GENERIC_CONTROL } from '../netlink/generic.ts'
import { KernelError } from '../netlink/kernel-error.ts'

/**
 * The type of a family's messages. To ask for a family has the kernel load its module.
 *
 * @param operation the caller's, for errors
 * @throws {KernelError} EOPNOTSUPP when the kernel has no such family
 */
export function familyNumber(conn: Conn, family: string, operation: string, object: string): number {
  const payload = encodeGetFamily(family)
  const answer = conn.attempt({ operation, object, type: GENERIC_CONTROL, flags: 0, payload, answer: 'message' })
  if (answer.errno !== '' && answer.errno !== 'ENOENT') throw refusal(answer)
  const found = answer.payloads[0]
  const number = found === undefined ? undefined : decodeFamily(found)
  if (number !== undefined) return number
  throw new KernelError(operation, object, 'EOPNOTSUPP', `the kernel has no netlink family "${family}"`)
}
