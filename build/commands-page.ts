/** docs/commands.md, from the table of commands. */
import { GRAMMAR } from '../cli/command-line.ts'
import type { CommandSpec, OptionSpec, ProgramSpec } from '../cli/spec.ts'
import { usageLine } from '../cli/spec.ts'

const HEAD = `# Commands

Made from the table in cli/commands.ts, as help, completion and the manual pages are.

Exit status: 0 done, 1 failed, 2 used wrongly (nothing was done). With \`--json\`, answers go to standard output and errors to
standard error as \`{"error": {"message", "plugin", "command", "code", "advice"}}\`, of which all but the message may be absent.

\`-o json\` is a list with an object for each row, whose members are the fields that \`--format\` takes; members are added, never
renamed or taken away. Whatever writes shows with \`--dry-run\` what it would do. Colours are for terminals alone, and not with
\`NO_COLOR\`. Networks, containers and the state of both are shown to everybody who may read the files and namespaces; whoever
may not is told so in one sentence.
[from-docker.md](from-docker.md) has the command for each of Docker's.
`

export function commandsPage(): string {
  const all: readonly (CommandSpec | ProgramSpec)[] = [...GRAMMAR.commands, ...GRAMMAR.programs]
  const headings = [...new Set(all.map(one => one.heading))]
  const parts = headings.map(heading => {
    const sections = all.filter(one => one.heading === heading).map(one => ('run' in one ? verb(one) : program(one)))
    return `## ${heading}\n\n${sections.join('\n')}`
  })
  return `${HEAD}\n${parts.join('\n')}`
}

function verb(spec: CommandSpec): string {
  const also = spec.aliases === undefined ? '' : ` Also: ${spec.aliases.map(alias => `\`${alias}\``).join(', ')}.`
  const description = spec.description === undefined ? '' : `\n${spec.description}\n`
  const rows = (spec.options ?? []).map(row)
  const options = rows.length === 0 ? '' : `\n| option | |\n|---|---|\n${rows.join('\n')}\n`
  return `### patchbay ${spec.name}\n\n${sentence(spec.summary)}${also}\n\n    ${usageLine(spec)}\n${description}${options}\n${examples(spec)}`
}

function program(spec: ProgramSpec): string {
  const more = `\`patchbay ${spec.name} --help\` shows its options.`
  return `### patchbay ${spec.name}\n\n${sentence(spec.summary)} ${more}\n\n${examples(spec)}`
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}

function row(option: OptionSpec): string {
  const values = option.choices ?? option.suggestions
  const choices = values === undefined ? '' : `: ${values.map(value => `\`${value}\``).join(', ')}`
  const many = option.isMany === true ? '; may be repeated' : ''
  return `| \`${option.flags.replaceAll('|', '\\|')}\` | ${`${option.summary}${choices}${many}`.replaceAll('|', '\\|')} |`
}

function examples(spec: CommandSpec | ProgramSpec): string {
  const lines = spec.examples.flatMap(({ line, effect }) => [`# ${effect}`, ...line.split('\n')])
  return `${lines.map(line => `    ${line}`).join('\n')}\n`
}
