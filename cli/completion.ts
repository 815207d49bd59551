/**
 * What may stand where a command line ends, for cli/completion-scripts.ts: `patchbay __complete WORD... CURRENT` prints a
 * candidate a line, with a tab and its summary where it has one. The line `:files` or `:directories` asks the shell for its own.
 */
import { readdirSync } from 'node:fs'
import { AttachmentCache } from '../lib/runtime/cache.ts'
import { loadNetworks } from '../lib/runtime/network.ts'
import type { Output } from './output.ts'
import { placeOf } from './place.ts'
import { type CommandSpec, type Grammar, optionName, valueName, type Words } from './spec.ts'

/** What may stand at the end of a command line. */
export async function complete(grammar: Grammar, words: readonly string[], output: Output): Promise<number> {
  const current = words.at(-1) ?? ''
  const candidates = await candidatesFor(grammar, words.slice(0, -1), current)
  const fitting = candidates.filter(one => one.startsWith(':') || one.startsWith(current))
  output.out(fitting.map(one => `${one}\n`).join(''))
  return 0
}

async function candidatesFor(grammar: Grammar, before: readonly string[], current: string): Promise<readonly string[]> {
  const [first] = before
  if (first === undefined)
    return [...grammar.groups, ...grammar.programs, ...grammar.commands.filter(isTopLevel)].map(described)
  const program = grammar.programs.find(one => one.name === first)
  if (program !== undefined) return optionsIn(await program.usage())
  if (before.length === 1 && grammar.groups.some(one => one.name === first)) return verbsOf(grammar, first)
  const spec = grammar.commands.find(one => [one.name, ...aliasesOf(one)].some(name => isBeginning(name, before)))
  return spec === undefined ? [] : candidatesOf(spec, before.slice(spec.name.split(' ').length), current)
}

function isTopLevel(spec: CommandSpec): boolean {
  return !spec.name.includes(' ')
}

function described(one: { readonly name: string; readonly summary: string }): string {
  return `${one.name}\t${one.summary}`
}

function verbsOf(grammar: Grammar, group: string): readonly string[] {
  return grammar.commands
    .filter(one => one.name.startsWith(`${group} `))
    .map(one => described({ name: one.name.slice(group.length + 1), summary: one.summary }))
}

function aliasesOf(spec: CommandSpec): readonly string[] {
  const group = spec.name.split(' ').slice(0, -1)
  return (spec.aliases ?? []).map(alias => [...group, alias].join(' '))
}

function isBeginning(name: string, words: readonly string[]): boolean {
  return name.split(' ').every((part, i) => words[i] === part)
}

function optionsIn(usage: string): readonly string[] {
  return [...new Set([...usage.matchAll(/(?<![\w-])--?[a-z][a-z-]+/g)].map(([option]) => option))]
}

function candidatesOf(spec: CommandSpec, before: readonly string[], current: string): readonly string[] {
  const options = spec.options ?? []
  const last = before.at(-1) ?? ''
  const asked = options.find(one => valueName(one) !== '' && one.flags.split(/[ ,]+/).includes(last))
  if (asked !== undefined) return [...(asked.choices ?? asked.suggestions ?? []), ...wordsOf(asked.words, before)]
  if (current.startsWith('-')) return options.map(one => `--${optionName(one)}\t${one.summary}`).concat('--help')
  const given = before.filter((word, i) => !word.startsWith('-') && !takesValue(spec, before[i - 1] ?? '')).length
  const list = spec.arguments ?? []
  const argument = list[given] ?? (list.at(-1)?.isMany === true ? list.at(-1) : undefined)
  return argument === undefined ? [] : [...(argument.choices ?? []), ...wordsOf(argument.words, before)]
}

function takesValue(spec: CommandSpec, word: string): boolean {
  return (spec.options ?? []).some(one => valueName(one) !== '' && one.flags.split(/[ ,]+/).includes(word))
}

function wordsOf(words: Words | undefined, before: readonly string[]): readonly string[] {
  if (words === 'directory') return [':directories']
  if (words === 'file') return [':files']
  const valueOf = (option: string): string | undefined => {
    const at = before.lastIndexOf(option)
    return at < 0 ? undefined : before[at + 1]
  }
  const place = placeOf({ 'conf-dir': valueOf('--conf-dir'), 'cache-dir': valueOf('--cache-dir') })
  if (words === 'network') return loadNetworks(place.confDir).networks.map(one => one.name)
  if (words === 'interface') return namesIn('/sys/class/net')
  if (words !== 'container') return []
  const ids = new AttachmentCache(place.cacheDir).list().map(one => one.containerId)
  return [...new Set([...ids, ...namesIn('/run/netns')])]
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
