/**
 * Keeps documents equal to what they are made from: README.md's plugin table from the first sentence of each plugin's own
 * README; its benchmark table, the results in docs/benchmark.md and the plots beside it from docs/benchmark.json, which
 * `npm run bench` writes; docs/reference from the docstrings of lib/.
 *
 * docs/commands.md comes from the table of commands, docs/map.svg from the example of a view, README.md's terminal from
 * docs/recording.cast, which `npm run recording` writes; what a release takes from docs/release.json, which `npm run release:figures`
 * writes.
 *
 *     node build/readme.ts [--write]
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { svgMap } from '../cli/map/svg.ts'
import type { BenchReport } from '../conformance/bench/measurements.ts'
import { plots } from '../conformance/bench/plot.ts'
import { markdownReport, shortMarkdown } from '../conformance/bench/report.ts'
import { withResults } from '../conformance/bench/results-block.ts'
import { commandsPage } from './commands-page.ts'
import { pluginFolders, ROOT } from './project.ts'
import { CAST, screenOf } from './recording/cast.ts'
import { REFERENCE, referencePages } from './reference.ts'
import { figuresTable } from './release/figures-table.ts'

const README = 'README.md'
const COMMANDS = 'docs/commands.md'
const VIEW = 'docs/view.example.json'
const MAP = 'docs/map.svg'
const BENCHMARK = 'docs/benchmark.md'
const PLOTS = 'docs/benchmark'
const REPORT = 'docs/benchmark.json'
const FIGURES = 'docs/release.json'

function textOf(path: string): string {
  const full = join(ROOT, path)
  return existsSync(full) ? readFileSync(full, 'utf8') : ''
}

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

function benchmark(): BenchReport | undefined {
  const text = textOf(REPORT)
  return text === '' ? undefined : JSON.parse(text)
}

function replaced(markdown: string, marker: string, text: string): string {
  const begin = `<!-- ${marker}:begin -->`
  const end = `<!-- ${marker}:end -->`
  const from = markdown.indexOf(begin) + begin.length
  return `${markdown.slice(0, from)}\n${text}\n${markdown.slice(markdown.indexOf(end))}`
}

/** Every document that is made from something else, as it should be. */
function wanted(): ReadonlyMap<string, string> {
  return new Map([...benchmarked(), [COMMANDS, commandsPage()], [MAP, svgMap(JSON.parse(textOf(VIEW)))]])
}

function benchmarked(): ReadonlyMap<string, string> {
  const report = benchmark()
  const terminal = ['```console', screenOf(textOf(CAST)), '```'].join('\n')
  const told = replaced(replaced(textOf(README), 'plugins', pluginTable()), 'recording', terminal)
  const readme = replaced(told, 'release', figuresTable(JSON.parse(textOf(FIGURES))))
  if (report === undefined) return new Map([...referencePages(), [README, readme]])
  const documents = new Map([...referencePages(), [README, replaced(readme, 'bench', shortMarkdown(report))]])
  documents.set(BENCHMARK, withResults(textOf(BENCHMARK), markdownReport(report, 'benchmark')))
  for (const [name, svg] of plots(report)) documents.set(`${PLOTS}/${name}`, svg)
  return documents
}

/** Pages of folders that plugins use nothing of any more. */
function leftOver(documents: ReadonlyMap<string, string>): readonly string[] {
  const pages = readdirSync(join(ROOT, REFERENCE)).map(name => `${REFERENCE}/${name}`)
  return pages.filter(path => !documents.has(path))
}

function main(): number {
  const documents = wanted()
  if (process.argv.includes('--write')) for (const path of leftOver(documents)) rmSync(join(ROOT, path))
  const stale = [...documents, ...leftOver(documents).map(path => [path, ''] as const)].filter(
    ([path, text]) => text !== textOf(path)
  )
  for (const [path, text] of stale) {
    if (process.argv.includes('--write')) {
      mkdirSync(dirname(join(ROOT, path)), { recursive: true })
      writeFileSync(join(ROOT, path), text)
    } else {
      process.stderr.write(`${path} is not up to date: node build/run.mjs format\n`)
    }
  }
  return stale.length === 0 || process.argv.includes('--write') ? 0 : 1
}

if (import.meta.main) process.exitCode = main()
