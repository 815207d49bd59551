/**
 * What a command is, as data. cli/commands.ts holds the table of all; parsing, help, completion, man pages and
 * docs/commands.md are made from it and from nothing else.
 */
import type { Call } from './call.ts'

/** What the words of an argument or an option's value are: completion offers those that there are. */
export type Words = 'network' | 'container' | 'directory' | 'file' | 'interface'

interface ArgumentSpec {
  /** In capitals: `NETWORK`. */
  readonly name: string
  readonly isOptional?: boolean
  /** One or more; the last argument only. */
  readonly isMany?: boolean
  readonly choices?: readonly string[]
  readonly words?: Words
}

export interface OptionSpec {
  /** As help shows it: `-d, --driver NAME`; without a value's name it is a switch. */
  readonly flags: string
  readonly summary: string
  /** Other names that Docker takes for it, which help does not show: `--net`. */
  readonly alsoCalled?: readonly string[]
  /** May be given more than once. */
  readonly isMany?: boolean
  readonly choices?: readonly string[]
  /** As choices, for help and completion; the verb judges the value itself. */
  readonly suggestions?: readonly string[]
  readonly words?: Words
  /** The heading it stands under in help; that of ordinary options when absent. */
  readonly heading?: string
}

export interface Example {
  /** Where it is too long for a line, broken as a shell takes it: a backslash at the end. */
  readonly line: string
  readonly effect: string
}

export interface CommandSpec {
  /** With the group's name before it: `network create`. */
  readonly name: string
  readonly aliases?: readonly string[]
  /** The heading it stands under in help. */
  readonly heading: string
  /** One line, as a command to somebody. */
  readonly summary: string
  /** Further paragraphs. */
  readonly description?: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly examples: readonly Example[]
  /** Everything after the first argument belongs to the program that is started: it is not read as options. */
  readonly passesThrough?: boolean
  /** On a terminal a bar shows that it goes on. */
  readonly mayTakeLong?: boolean
  /** Who is attached is root's to know: the command is nothing without it, or shows the rest. */
  readonly containers?: 'needed' | 'shown'
  readonly run: (call: Call) => Promise<number>
}

/** A command that reads its own arguments, and says itself which: daemons, the conformance suite. */
export interface ProgramSpec {
  readonly name: string
  readonly heading: string
  readonly summary: string
  readonly examples: readonly Example[]
  readonly usage: () => Promise<string>
  readonly start: (argv: readonly string[]) => Promise<number>
}

/** What a group's commands have in common: `network` of `network create`. */
interface GroupSpec {
  readonly name: string
  readonly heading: string
  readonly summary: string
}

/** The whole table. */
export interface Grammar {
  readonly commands: readonly CommandSpec[]
  readonly groups: readonly GroupSpec[]
  readonly programs: readonly ProgramSpec[]
}

/** The long name of an option: `driver` of `-d, --driver NAME`. */
export function optionName(option: OptionSpec): string {
  return /--([a-z0-9-]+)/.exec(option.flags)?.[1] ?? ''
}

/** The name of an option's value, '' of a switch. */
export function valueName(option: OptionSpec): string {
  return / ([A-Z]\S*)$/.exec(option.flags)?.[1] ?? ''
}

/** How an argument is written in a usage line. */
function argumentText(argument: ArgumentSpec): string {
  const name = argument.isMany === true ? `${argument.name}...` : argument.name
  return argument.isOptional === true ? `[${name}]` : name
}

/** `patchbay network create [options] NAME` */
export function usageLine(spec: CommandSpec): string {
  const options = (spec.options ?? []).length === 0 ? [] : ['[options]']
  return ['patchbay', spec.name, ...options, ...(spec.arguments ?? []).map(argumentText)].join(' ')
}
