/** What the kernel says of this process. */
import * as libc from '#libc'

/** The process that started this one; 0 when it is in another process namespace. @source man 2 getppid */
export function parentProcess(): number {
  return libc.getppid()
}
