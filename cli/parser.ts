/** Reads a command line by the table of commands: commander does the reading, this gives it the table. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { Call } from './call.ts'
import { answerTo, answerToOption } from './docker-words.ts'
import { didYouMean } from './nearest.ts'
import { type Output, terminalWidth, UsageError } from './output.ts'
import { type CommandSpec, type Grammar, type OptionSpec, optionName, usageLine, valueName } from './spec.ts'

/** What a command line asks for. */
export type Asked =
  | { readonly kind: 'call'; readonly spec: CommandSpec; readonly call: Call }
  /** The help that was asked for has been printed. */
  | { readonly kind: 'helped' }

/** @throws UsageError for what the table does not allow */
export function parse(grammar: Grammar, argv: readonly string[], output: Output): Asked {
  let asked: Asked = { kind: 'helped' }
  const program = programOf(grammar, output, chosen => {
    asked = chosen
  })
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return { kind: 'helped' }
    throw usageError(grammar, argv, error)
  }
  return asked
}

/** The help of the whole command. */
export function showHelp(grammar: Grammar, output: Output): void {
  programOf(grammar, output, () => {}).outputHelp()
}

function programOf(grammar: Grammar, output: Output, choose: (asked: Asked) => void): Command {
  const program = new Command('patchbay')
  program.description('Container networks by CNI plugins')
  program.enablePositionalOptions().exitOverride().helpCommand(false).helpOption('-h, --help', 'show this help')
  program.configureOutput({
    writeOut: output.out,
    writeErr: () => {},
    outputError: () => {},
    getOutHelpWidth: terminalWidth
  })
  program.configureHelp({ commandUsage, subcommandTerm, argumentTerm: argument => argument.name() })
  const parents = new Map<string, Command>()
  program.usage('COMMAND [options]')
  for (const group of grammar.groups) parents.set(group.name, namedCommand(program, group).usage('VERB [options]'))
  for (const spec of grammar.commands) {
    const [first = '', second] = spec.name.split(' ')
    const parent = second === undefined ? program : parents.get(first)
    if (parent !== undefined) addCommand(parent.command(second ?? first), spec, output, choose)
  }
  for (const one of grammar.programs) namedCommand(program, one)
  program.addHelpText('after', '\nCOMMAND --help shows the options of a command, with examples.')
  return program
}

function namedCommand(program: Command, one: Grammar['groups'][number]): Command {
  const command = program.command(one.name).summary(one.summary).description(sentenceOf(one.summary))
  return command.helpGroup(`${one.heading}:`).helpCommand(false)
}

/** Without aliases, in the form in which the man pages and the documents have it too. */
function commandUsage(command: Command): string {
  const names: string[] = []
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name())
  return `${names.join(' ')} ${command.usage()}`
}

function subcommandTerm(command: Command): string {
  return [command.name(), ...command.aliases()].join(', ')
}

function addCommand(command: Command, spec: CommandSpec, output: Output, choose: (asked: Asked) => void): void {
  command.summary(spec.summary).description(descriptionOf(spec)).helpGroup(`${spec.heading}:`)
  command.aliases([...(spec.aliases ?? [])]).allowExcessArguments(false)
  command.usage(usageLine(spec).slice(`patchbay ${spec.name} `.length))
  if (spec.passesThrough === true) command.passThroughOptions()
  for (const argument of spec.arguments ?? []) {
    const made = new Argument(argument.isOptional === true ? `[${nameOf(argument)}]` : `<${nameOf(argument)}>`)
    command.addArgument(argument.choices === undefined ? made : made.argParser(judge(argument.choices)))
  }
  for (const option of spec.options ?? []) for (const made of commanderOptions(option)) command.addOption(made)
  command.addHelpText('after', examplesText(spec))
  command.action(() => {
    const words = command.args
    const known = new Set((spec.options ?? []).map(optionName))
    choose({ kind: 'call', spec, call: new Call(words, valuesOf(command, spec.options ?? []), known, output) })
  })
}

function nameOf(argument: { readonly name: string; readonly isMany?: boolean }): string {
  return argument.isMany === true ? `${argument.name}...` : argument.name
}

function descriptionOf(spec: CommandSpec): string {
  const sentence = sentenceOf(spec.summary)
  return spec.description === undefined ? sentence : `${sentence}\n\n${spec.description}`
}

function sentenceOf(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}

function examplesText(spec: CommandSpec): string {
  const lines = spec.examples.flatMap(({ line, effect }) => [`  # ${effect}`, `  ${line}`])
  return `\nExamples:\n${lines.join('\n')}`
}

/** The option, and for each other name of it one that help does not show. */
function commanderOptions(spec: OptionSpec): readonly Option[] {
  const value = valueName(spec)
  const others = (spec.alsoCalled ?? []).map(name => ({ ...spec, flags: value === '' ? name : `${name} ${value}` }))
  return [commanderOption(spec), ...others.map(one => commanderOption(one).hideHelp())]
}

function commanderOption(spec: OptionSpec): Option {
  const value = valueName(spec)
  const flags = value === '' ? spec.flags : `${spec.flags.slice(0, -value.length)}<${value}>`
  const choices = spec.choices ?? spec.suggestions
  const summary = choices === undefined ? spec.summary : `${spec.summary}: ${choices.join(', ')}`
  const option = new Option(flags, spec.isMany === true ? `${summary}; may be repeated` : summary)
  if (spec.heading !== undefined) option.helpGroup(`${spec.heading}:`)
  if (spec.isMany === true) {
    option.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text])
  } else if (spec.choices !== undefined) option.argParser(judge(spec.choices))
  return option
}

function judge(choices: readonly string[]): (text: string) => string {
  return text => {
    if (choices.includes(text)) return text
    throw new InvalidArgumentError(`It must be one of ${choices.join(', ')}${didYouMean(text, choices)}`)
  }
}

function valuesOf(command: Command, options: readonly OptionSpec[]): Map<string, true | string | readonly string[]> {
  const values = new Map<string, true | string | readonly string[]>()
  const mainNames = new Map(options.flatMap(one => (one.alsoCalled ?? []).map(name => [name, optionName(one)])))
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName())
    const name = mainNames.get(option.long ?? '') ?? (option.long ?? '').replace(/^--/, '')
    // Of `--no-x` commander makes an x that is true until the option is given.
    if (option.negate) {
      if (value === false) values.set(name, true)
    } else if (value === true || typeof value === 'string') values.set(name, value)
    else if (Array.isArray(value)) {
      const before = values.get(name)
      values.set(name, [...(Array.isArray(before) ? before : []), ...value.map(String)])
    }
  }
  return values
}

/** Commander's sentence, and which form the command has. */
function usageError(grammar: Grammar, argv: readonly string[], error: CommanderError): UsageError {
  const spec = grammar.commands.find(one => one.name.split(' ').every((word, i) => argv[i] === word))
  const group = grammar.groups.find(one => one.name === argv[0])
  const [message = '', ...hints] = error.message.replace(/^error: /, '').split('\n')
  const nearest = hints.map(hint => / mean (?:one of )?(.*)\?\)$/.exec(hint)?.[1] ?? '').filter(hint => hint !== '')
  const near = nearest.length === 0 ? '' : `; did you mean ${nearest.join(', ')}?`
  const option = /^unknown option '(--?[\w-]+)/.exec(message)?.[1]
  const answer =
    option === undefined ? error.code === 'commander.unknownCommand' && answerTo(argv) : answerToOption(option)
  if (typeof answer === 'string') return new UsageError(`read the command: ${message}`, answer)
  if (error.code === 'commander.help') {
    return new UsageError(`read the command: ${argv.join(' ')} needs a verb`, `patchbay ${argv.join(' ')} --help`)
  }
  if (spec !== undefined) {
    const form = (spec.arguments ?? []).length === 0 ? '' : `the form is: ${usageLine(spec)}; `
    return new UsageError(`read the command: ${message}${near}`, `${form}patchbay ${spec.name} --help shows more`)
  }
  const where = group === undefined ? 'patchbay --help' : `patchbay ${group.name} --help`
  return new UsageError(`read the command: ${message}${near}`, `${where} shows every command`)
}
