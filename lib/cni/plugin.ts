/** What a plugin is, and what it is given: the types that plugin authors need. */
import type { Attachment } from '../attachment.ts'
import type { Section } from '../config/section.ts'
import type { CniArgs } from './args.ts'
import type { Result } from './result.ts'

/**
 * One plugin. The five functions share a Request; `run` does everything before (variables, stdin, versions) and after
 * them (conversion of the result, printing, exit status).
 */
export interface Plugin {
  /** The file name that it is installed and configured under. */
  readonly name: string
  /** The oldest cniVersion it supports. */
  readonly since: string
  /** Whether it can be an `ipam.type`; absent: no */
  readonly givesAddresses?: boolean
  /** Creates the attachment; undoes itself when it fails. Returns the whole attachment, prevResult included. */
  readonly add: (request: Request) => Result
  /** Removes the attachment. What is already gone is no error; `netns` may be '' or vanished. */
  readonly del: (request: Request) => void
  /** Throws when the attachment is not as `prevResult` says. */
  readonly check: (request: Request) => void
  /** Removes what belongs to `network` and is not in `validAttachments`. */
  readonly gc: (request: Request) => void
  /** Throws code 50 or 51 when an ADD could not succeed now. */
  readonly status: (request: Request) => void
}

/** A plugin of this executable by its name. A call is one plugin's: the others are not made. */
export interface PluginMaker {
  readonly name: string
  readonly make: () => Plugin
}

/** The one of that name, of a list that is written down once, in plugins/registry.ts. */
export function makerNamed(name: string, makers: readonly PluginMaker[]): PluginMaker | undefined {
  for (const one of makers) if (one.name === name) return one
  return undefined
}

/** The plugin that a file name names: as a whole, or by what stands before its first dot. */
export function pluginNamed(fileName: string, plugins: readonly PluginMaker[]): PluginMaker | undefined {
  return makerNamed(fileName, plugins) ?? makerNamed(fileName.split('.')[0] ?? '', plugins)
}

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

/** One call of a plugin: the attachment it is about, and what it was told. Variables that a verb doesn't have are ''. */
export interface Request extends Attachment {
  readonly command: Command
  /** Path of the container's network namespace; '' when DEL was given none. */
  readonly netns: string
  /** The configuration's version, one of KNOWN_VERSIONS. */
  readonly cniVersion: string
  /** CNI_ARGS. */
  readonly args: CniArgs
  /** The whole configuration; call its `finish()` after the last key is read. */
  readonly config: Section
  /** The result so far (ADD) or of the whole chain (CHECK, DEL); undefined when the runtime gave none. */
  readonly prevResult: Result | undefined
  /** GC: what the runtime still knows. */
  readonly validAttachments: readonly Attachment[]
  /** The IPAM plugin that the configuration names. */
  readonly ipam: Ipam
}

/** The delegate for addresses: called in this process or executed, with the same effect. */
export abstract class Ipam {
  /** The plugin's name; '' when the network has no addresses (layer 2 only), and then every verb does nothing. */
  abstract type(): string
  /** Takes addresses. On a later failure of ADD give them back: `undo.push('address lease', () => request.ipam.del())`. */
  abstract add(): Result
  abstract del(): void
  abstract check(): void
  /** @param alsoKept attachments that the runtime does not know and whose addresses must not be given to others yet */
  abstract gc(alsoKept: readonly Attachment[]): void
  abstract status(): void
}
