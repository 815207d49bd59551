/** What is written down of each attachment before the kernel is changed for it, so that DEL and GC can undo it. */
import type { Attachment } from '../attachment.ts'
import type { Json } from '../config/json.ts'

/** `entry` is an empty object when the file does not hold one: the attachment was there, its details are lost. */
export interface Recorded {
  readonly attachment: Attachment
  readonly entry: Json
}

/** The records of one plugin on one network: its journal, or files in a format of another implementation. */
export abstract class Records {
  /** Writes or replaces; call it before the kernel is changed. @throws {SysError} ENOSPC, EROFS, EACCES */
  abstract write(attachment: Attachment, entry: Json): void
  /** @returns undefined when nothing is written down */
  abstract read(attachment: Attachment): Json | undefined
  /** The same for who is about to remove it: where there is none, what a killed writer began is cleared away. */
  abstract readForRemoval(attachment: Attachment): Json | undefined
  /** All of the network, in no order. What killed writers left is cleared away. */
  abstract list(): readonly Recorded[]
  /** Removes it, if it is there. */
  abstract remove(attachment: Attachment): void
}

/** For a plugin that finds what it made without having been told. */
export class NoRecords extends Records {
  override write(_attachment: Attachment, _entry: Json): void {}

  override read(_attachment: Attachment): Json | undefined {
    return undefined
  }

  override readForRemoval(_attachment: Attachment): Json | undefined {
    return undefined
  }

  override list(): readonly Recorded[] {
    return []
  }

  override remove(_attachment: Attachment): void {}
}
