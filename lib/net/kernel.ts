/**
 * The door to network namespaces: a plugin gets a Kernel and opens what it needs.
 */
import type { Nft } from '../nft/nft.ts'
import type { Net } from './net.ts'

export abstract class Kernel {
  /** The namespace the process was started in. Closing it has no effect on later calls. */
  abstract host(): Net

  /**
   * Opens a network namespace by its path, such as `/run/netns/blue`.
   *
   * @throws {NetnsError} `absent` when nothing is there, `not-a-namespace` when something else is
   */
  abstract open(path: string): Net

  /**
   * The same for DEL, GC and CHECK, where a namespace that is gone is an ordinary answer.
   *
   * @returns undefined when nothing is there, or what is there is no namespace any more
   */
  abstract find(path: string): Net | undefined

  /** The packet filter of an open namespace. It is closed for itself, before the Net. */
  abstract nft(net: Net): Nft
}
