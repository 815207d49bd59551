/** Manual pages, one for the command and one for each verb, from the table of commands. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PATCHBAY_VERSION } from '../lib/cni/version.ts'
import { ensureDirectory, fileError } from '../lib/sys/files.ts'
import type { Call } from './call.ts'
import { CommandError } from './output.ts'
import { type CommandSpec, type Example, type Grammar, usageLine } from './spec.ts'

/** `man DIR` */
export async function man(call: Call, grammar: Grammar): Promise<number> {
  const directory = call.word(0)
  try {
    const all = await pages(grammar)
    if (call.has('dry-run')) {
      for (const name of all.keys()) call.output.out(`would write ${join(directory, name)}\n`)
      return 0
    }
    ensureDirectory(directory, 0o755)
    for (const [name, text] of all) writeFileSync(join(directory, name), text, { mode: 0o644 })
  } catch (error) {
    throw new CommandError(fileError('write manual pages', directory, error).message, 'name a directory you may write')
  }
  return 0
}

/** The pages by their file names. @source man 7 man */
export async function pages(grammar: Grammar): Promise<ReadonlyMap<string, string>> {
  const all = new Map([['patchbay.1', overview(grammar)]])
  for (const spec of grammar.commands) all.set(`${pageName(spec.name)}.1`, pageOf(grammar, spec))
  for (const program of grammar.programs) {
    const body = `.SH DESCRIPTION\n.nf\n${escaped(await program.usage())}\n.fi\n${examples(program.examples)}`
    all.set(`${pageName(program.name)}.1`, `${head(program.name, program.summary)}${body}`)
  }
  return all
}

function pageName(name: string): string {
  return `patchbay-${name.replaceAll(' ', '-')}`
}

function overview(grammar: Grammar): string {
  const entries = [...grammar.commands, ...grammar.programs].map(
    one => `.TP\n.BR ${pageName(one.name)} (1)\n${escaped(one.summary)}\n`
  )
  const text = 'Makes container networks by CNI plugins, and attaches whatever has a network namespace.'
  const status = '.SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed.\n.TP\n2\nUsed wrongly: nothing was done.\n'
  const synopsis = '.SH SYNOPSIS\n.B patchbay\nCOMMAND [options]\n'
  const title = `.TH PATCHBAY 1 "" "Patchbay ${PATCHBAY_VERSION}" "Patchbay"\n`
  return `${title}.SH NAME\npatchbay \\- container networks\n${synopsis}.SH DESCRIPTION\n${text}\n.SH COMMANDS\n${entries.join('')}${status}`
}

function head(name: string, summary: string): string {
  const title = pageName(name)
  return `.TH ${title.toUpperCase()} 1 "" "Patchbay ${PATCHBAY_VERSION}" "Patchbay"\n.SH NAME\n${title} \\- ${escaped(summary)}\n`
}

function pageOf(grammar: Grammar, spec: CommandSpec): string {
  const synopsis = `.SH SYNOPSIS\n${escaped(usageLine(spec))}\n`
  const description = spec.description === undefined ? '' : `.SH DESCRIPTION\n${escaped(spec.description)}\n`
  const options = (spec.options ?? []).map(option => {
    const many = option.isMany === true ? '; may be repeated' : ''
    const values = option.choices ?? option.suggestions
    const choices = values === undefined ? '' : `: ${values.join(', ')}`
    return `.TP\n.B ${escaped(option.flags)}\n${escaped(`${option.summary}${choices}${many}`)}\n`
  })
  const list = options.length === 0 ? '' : `.SH OPTIONS\n${options.join('')}`
  const others = spec.name.includes(' ') ? related(grammar, spec) : ''
  return `${head(spec.name, spec.summary)}${synopsis}${description}${list}${examples(spec.examples)}${others}`
}

function related(grammar: Grammar, spec: CommandSpec): string {
  const group = `${spec.name.split(' ')[0] ?? ''} `
  const names = grammar.commands
    .filter(one => one.name.startsWith(group) && one !== spec)
    .map(one => pageName(one.name))
  return `.SH SEE ALSO\n${names.map(name => `.BR ${name} (1)`).join(',\n')}\n`
}

function examples(list: readonly Example[]): string {
  const lines = list.map(({ line, effect }) => `.TP\n${escaped(effect)}\n.nf\n${escaped(line)}\n.fi\n`)
  return `.SH EXAMPLES\n${lines.join('')}`
}

/** What roff would take for its own: backslashes, hyphens that are to be copied, and a dot or quote at a line's beginning. */
function escaped(text: string): string {
  return text
    .trimEnd()
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1')
}
