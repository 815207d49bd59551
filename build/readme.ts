/**
 * Keeps README.md's tables equal to what they are made from: the plugin table from the first sentence of each plugin's own
 * README, the benchmark table from docs/benchmark.md.
 *
 *     node build/readme.ts [--write]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pluginFolders, ROOT } from './project.ts'

const README = join(ROOT, 'README.md')
const BENCHMARK = join(ROOT, 'docs', 'benchmark.md')
const RESULTS_BEGIN = '<!-- results: written by npm run bench -- --markdown FILE -->'
const RESULTS_END = '<!-- end of results -->'

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

/** Of the results in docs/benchmark.md, as `npm run bench` wrote them: what a container's start and stop consist of. */
function benchmarkTable(): string {
  const document = existsSync(BENCHMARK) ? readFileSync(BENCHMARK, 'utf8') : ''
  const from = document.indexOf(RESULTS_BEGIN)
  const results = document.slice(from + RESULTS_BEGIN.length, document.indexOf(RESULTS_END)).trim()
  if (from < 0 || results === '') return '`npm run bench` prints the table.'
  const lines = results.split('\n').filter(line => !line.startsWith('- ') && (!line.startsWith('|') || isShown(line)))
  return lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/** Rows of the README: what happens at every start and stop; docs/benchmark.md has CHECK, STATUS and the rest. */
function isShown(row: string): boolean {
  const measure = row.split('|')[2]?.trim() ?? ''
  return !/^(CHECK|STATUS|GC|VERSION|DEL again)$/.test(measure)
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
