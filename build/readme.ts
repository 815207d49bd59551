/**
 * Keeps README.md's tables equal to what they are made from: the plugin table from the first sentence of each plugin's own
 * README, the benchmark table from docs/benchmark.json.
 *
 *     node build/readme.ts [--write]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pluginFolders, ROOT } from './project.ts'

const README = join(ROOT, 'README.md')
const BENCHMARK = join(ROOT, 'docs', 'benchmark.md')

/** The first sentence after the title. */
export function firstSentence(markdown: string): string {
  const paragraph = markdown.split(/\n\s*\n/).find(part => !part.startsWith('#')) ?? ''
  const text = paragraph.replace(/\s+/g, ' ').trim()
  const end = /[.:](?= |$)/.exec(text)
  return end === null ? text : text.slice(0, end.index)
}

function pluginTable(): string {
  const rows = pluginFolders().map(({ name, folder }) => {
    const path = join(ROOT, folder, 'README.md')
    const what = existsSync(path) ? firstSentence(readFileSync(path, 'utf8')) : ''
    return `| [${name}](${folder}) | ${what} |`
  })
  return ['| plugin | what it does |', '|---|---|', ...rows].join('\n')
}

/** The part of docs/benchmark.md between the markers of the same name; what `npm run bench` printed. */
function benchmarkTable(): string {
  if (!existsSync(BENCHMARK)) return '`npm run bench` prints the table.'
  return between(readFileSync(BENCHMARK, 'utf8'), 'summary')
}

function between(markdown: string, marker: string): string {
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const from = markdown.indexOf(begin)
  const to = markdown.indexOf(end)
  if (from < 0 || to < from) throw new Error(`find ${begin} … ${end}: not there`)
  return markdown.slice(from + begin.length, to).trim()
}

function replaced(markdown: string, marker: string, text: string): string {
  const begin = `<!-- ${marker}:begin -->`
  const end = `<!-- ${marker}:end -->`
  const from = markdown.indexOf(begin) + begin.length
  return `${markdown.slice(0, from)}\n${text}\n${markdown.slice(markdown.indexOf(end))}`
}

function main(): number {
  const now = readFileSync(README, 'utf8')
  const wanted = replaced(replaced(now, 'plugins', pluginTable()), 'bench', benchmarkTable())
  if (now === wanted) return 0
  if (process.argv.includes('--write')) {
    writeFileSync(README, wanted)
    return 0
  }
  process.stderr.write('README.md is not up to date: node build/run.mjs format\n')
  return 1
}

if (import.meta.main) process.exitCode = main()
